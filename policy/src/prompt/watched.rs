//! Which texts of a prompt `deny` reads as one, and to which roles a match applies.
//!
//! The parts of a message are one text, as they are to the model: joined with a line feed or with nothing, as templates do. So are
//! consecutive messages of one role, since servers that do not mark where a message begins read on: from the beginning of each, the
//! ones before it are remembered for a bounded number of bytes. Texts beside the content (arguments, results, names) are joined to
//! their own kind, and do not interrupt the rest.
//!
//! A role may come after its content: a match that applies to some roles only waits until the message is complete.

use crate::denied_text::{Escapes, Found, Joint, Rules, Watch};
use crate::inference::{Origins, Place, Role, Strand};

/// How many bytes of a message are read as the rest of the one before it.
const STRETCH: usize = 1_024;

/// What no text may say, and where.
#[derive(Clone, Debug)]
pub struct Denied {
    rules: Rules,
    origins: Vec<Origins>,
}

/// The texts of one prompt, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Watched {
    strands: [Option<Box<Threads>>; Strand::ALL.len()],
    /// Of the text that is being heard.
    strand: Option<Strand>,
    /// The last message that is complete: the value that it is in, and its role.
    before: Option<(u32, Role)>,
}

/// The texts of one kind in a message, and in those before it.
#[derive(Debug)]
struct Threads {
    watch: Watch,
    escapes: Escapes,
    /// The message has a text of this kind.
    begun: bool,
    /// A text of this kind is complete, and another may follow.
    parted: bool,
    /// The message may go on with the one before.
    joined: bool,
    /// For so many bytes more.
    stretch: usize,
    found: Found,
    /// Where that was.
    at: Option<Place>,
    /// The last text that is complete.
    last: Option<Place>,
}

/// Rules that are broken, a bit for each, and where.
pub(super) type Broken = (u64, Place);

impl Denied {
    /// Rules, and whose texts each is for.
    pub fn new(rules: Rules, origins: Vec<Origins>) -> Self {
        Self { rules, origins }
    }

    /// Those of `found` that count for texts of `origins`: for whichever of them it is, or for one that it may be.
    fn count(&self, found: u64, of: Origins, counts: fn(Origins, Origins) -> bool) -> u64 {
        if found == 0 {
            return 0;
        }
        let counting = self.origins.iter().zip(0_u32..).filter(|(origins, _)| counts(**origins, of));
        counting.fold(0, |rules, (_, rule)| rules | found & 1_u64.checked_shl(rule).unwrap_or(0))
    }
}

impl Watched {
    /// A piece of a text.
    #[inline]
    pub(super) fn piece(&mut self, denied: &Denied, place: &Place, text: &str) -> Option<Broken> {
        let strand = *self.strand.get_or_insert_with(|| place.strand());
        let threads = self.strands.get_mut(strand.index())?;
        let threads = threads.get_or_insert_with(|| Box::new(Threads::new(&denied.rules)));
        let mut found = Found::default();
        if !threads.begun {
            let joined = self.before.is_some_and(|before| may_follow(before, place));
            found = threads.begin(&denied.rules, joined);
        } else if threads.parted {
            let joint = if is_joined(strand) { Joint::Any } else { Joint::Line };
            found = denied.rules.part(&mut threads.watch, joint);
        }
        threads.parted = false;
        let found = found.or(threads.piece(&denied.rules, text));
        if found.is_empty() {
            return None;
        }
        threads.note(found, place);
        let may_follow = self.before.is_some_and(|before| may_follow(before, place));
        let follows = threads.joined && place.role().is_some() && may_follow;
        let seen = if follows { found.run } else { found.alone };
        let rules = denied.count(seen, place.origins(), Origins::covers);
        (rules != 0).then_some((rules, *place))
    }

    /// The text at `place` is complete.
    #[inline]
    pub(super) fn end_of_text(&mut self, denied: &Denied, place: &Place) {
        let strand = self.strand.take();
        let threads = strand.and_then(|strand| self.strands.get_mut(strand.index())?.as_mut());
        if let Some(threads) = threads {
            let found = denied.rules.end_json(&mut threads.escapes);
            threads.note(found, place);
            (threads.parted, threads.last) = (true, Some(*place));
        }
    }

    /// The message, or what else has texts of its own, is complete: `place` has its role.
    pub(super) fn end_of_message(&mut self, denied: &Denied, place: &Place) -> Option<Broken> {
        let follows = self.before.is_some_and(|before| may_follow(before, place));
        let mut broken = None;
        for (threads, strand) in self.strands.iter_mut().zip(Strand::ALL) {
            let Some(threads) = threads else { continue };
            if threads.begun {
                let end = denied.rules.end(&threads.watch);
                threads.note(end, &threads.last.unwrap_or(*place));
                let seen = if follows && threads.joined { threads.found.run } else { threads.found.alone };
                let at = threads.at.take().unwrap_or(*place);
                let said = at.in_role(place.role()).origins();
                let rules = denied.count(seen, said, Origins::meets)
                    | denied.count(seen, at.origins(), Origins::covers);
                if rules != 0 {
                    broken = broken.or(Some((rules, at)));
                }
            }
            threads.end(follows, is_joined(strand));
        }
        self.before = match place.role() {
            Some(role) => Some((place.value(), role)),
            None => self.before.filter(|_| follows),
        };
        broken
    }
}

/// Whether the message at `place` may go on with one of this role before it.
fn may_follow((value, role): (u32, Role), place: &Place) -> bool {
    place.index().is_some() && place.value() == value && place.role().is_none_or(|own| own == role)
}

/// Whether texts of this kind are what a model reads on, from one to the next.
const fn is_joined(strand: Strand) -> bool {
    matches!(strand, Strand::Said | Strand::Result)
}

impl Threads {
    fn new(rules: &Rules) -> Self {
        Self {
            watch: rules.begin(),
            escapes: Escapes::default(),
            begun: false,
            parted: false,
            joined: false,
            stretch: 0,
            found: Found::default(),
            at: None,
            last: None,
        }
    }

    fn begin(&mut self, rules: &Rules, joined: bool) -> Found {
        self.begun = true;
        self.joined &= joined;
        if self.joined {
            self.stretch = STRETCH;
            return rules.message(&mut self.watch);
        }
        self.watch = rules.begin();
        Found::default()
    }

    #[inline]
    fn piece(&mut self, rules: &Rules, text: &str) -> Found {
        if self.stretch >= text.len() || !self.watch.is_split() {
            self.stretch = self.stretch.saturating_sub(text.len());
            return rules.json(&mut self.watch, &mut self.escapes, text);
        }
        let end = (0..=self.stretch).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let (near, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let found = rules.json(&mut self.watch, &mut self.escapes, near);
        self.stretch = 0;
        self.watch.forget_messages();
        found.or(rules.json(&mut self.watch, &mut self.escapes, rest))
    }

    fn note(&mut self, found: Found, place: &Place) {
        if !found.is_empty() {
            self.found = self.found.or(found);
            self.at.get_or_insert(*place);
        }
    }

    /// The message is complete. `follows`: it went on with the one before.
    fn end(&mut self, follows: bool, is_joined: bool) {
        if self.begun && !follows {
            self.watch.forget_messages();
        }
        self.joined = is_joined && (self.begun || self.joined && follows);
        (self.begun, self.parted, self.stretch) = (false, false, 0);
        (self.found, self.at, self.last) = (Found::default(), None, None);
    }
}
