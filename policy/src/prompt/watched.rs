//! Decides which texts of a prompt are read as one by `deny`, and which rules a match counts for.
//!
//! The parts of a message are one text, as they are to the model, joined by a line feed or by nothing, as templates do.
//! So are consecutive messages of one role, because some servers do not mark where a message begins: for a bounded
//! stretch, the beginning of a message continues the previous one. Arguments, results and names are joined to their own
//! kind and do not interrupt the content.
//!
//! A role may follow its content: a match that counts for some origins only is decided when the message is complete.

use crate::denied_text::{Escapes, Found, Joint, Rules, Watch};
use crate::inference::{Origins, Place, Role, Strand};

/// The number of bytes at the beginning of a message that continue the previous one.
const STRETCH: usize = 1_024;

/// Rules on what texts may not say, and the origins that each applies to.
#[derive(Clone, Debug)]
pub struct Denied {
    rules: Rules,
    origins: Vec<Origins>,
}

/// The search through the texts of one prompt.
#[derive(Debug, Default)]
pub(super) struct Watched {
    strands: [Option<Box<Threads>>; Strand::ALL.len()],
    /// The strand of the current text.
    strand: Option<Strand>,
    /// The last complete message: the member's value that contains it, and its role.
    before: Option<(u32, Role)>,
}

/// The texts of one strand, in a message and its predecessors.
#[derive(Debug)]
struct Threads {
    watch: Watch,
    escapes: Escapes,
    /// True if the message has a text of this strand.
    begun: bool,
    /// True if a text of this strand is complete and another may follow.
    parted: bool,
    /// True if the message may continue the previous one.
    joined: bool,
    /// The bytes left in which it may.
    stretch: usize,
    found: Found,
    /// The place of the first match.
    at: Option<Place>,
    /// The place of the last complete text.
    last: Option<Place>,
}

/// The broken rules, one bit each, and the place of the first match.
pub(super) type Broken = (u64, Place);

impl Denied {
    /// Combines rules with the origins that each applies to.
    pub fn new(rules: Rules, origins: Vec<Origins>) -> Self {
        Self { rules, origins }
    }

    /// Returns the rules of `found` that apply to a text of these origins. `counts` selects rules that cover all of
    /// them, or that share one with them.
    fn count(&self, found: u64, of: Origins, counts: fn(Origins, Origins) -> bool) -> u64 {
        if found == 0 {
            return 0;
        }
        let counting = self.origins.iter().zip(0_u32..).filter(|(origins, _)| counts(**origins, of));
        counting.fold(0, |rules, (_, rule)| rules | found & 1_u64.checked_shl(rule).unwrap_or(0))
    }
}

impl Watched {
    /// Reads a piece of a text.
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

    /// Ends the text at `place`.
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

    /// Ends a message, or another text of its own. `place` has its final role.
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

/// Returns true if the message at `place` may continue a previous one of this role.
fn may_follow((value, role): (u32, Role), place: &Place) -> bool {
    place.index().is_some() && place.value() == value && place.role().is_none_or(|own| own == role)
}

/// Returns true for the strands that a model reads continuously from one text to the next.
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

    /// Ends the message. `follows` means that it continued the previous one.
    fn end(&mut self, follows: bool, is_joined: bool) {
        if self.begun && !follows {
            self.watch.forget_messages();
        }
        self.joined = is_joined && (self.begun || self.joined && follows);
        (self.begun, self.parted, self.stretch) = (false, false, 0);
        (self.found, self.at, self.last) = (Found::default(), None, None);
    }
}
