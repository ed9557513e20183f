//! The keys below a request's members that the scanner knows by name.

use super::facts::Part;
use super::names::Names;
use super::reading::Reading;

macro_rules! keys {
    ($($key:ident = $name:literal),* $(,)?) => {
        /// A known key below a request's members.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Key { $($key),* }

        impl Key {
            /// Returns the key as the APIs spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }

            /// All keys.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$key),*];
        }

        const NAMES: Names<Key, { Key::ALL.len() }> = Names::new([$(($name, Key::$key)),*]);
    };
}

keys! {
    Content = "content", Text = "text", Name = "name", Refusal = "refusal", Thinking = "thinking",
    Reasoning = "reasoning", ReasoningContent = "reasoning_content", Summary = "summary", Title = "title",
    Context = "context", Output = "output", ToolCalls = "tool_calls", Function = "function",
    FunctionCall = "function_call", Arguments = "arguments", Source = "source", Variables = "variables",
    Description = "description", Parameters = "parameters", Input = "input", InputSchema = "input_schema",
    Schema = "schema", JsonSchema = "json_schema",
    Role = "role", Type = "type", Id = "id", CallId = "call_id", ToolCallId = "tool_call_id",
    ToolUseId = "tool_use_id", Status = "status", Detail = "detail", Format = "format", MediaType = "media_type",
    ImageUrl = "image_url", Image = "image", ImageEmbeds = "image_embeds", InputAudio = "input_audio",
    AudioUrl = "audio_url", Audio = "audio", VideoUrl = "video_url", Video = "video", File = "file",
    FileData = "file_data", FileId = "file_id", FileUrl = "file_url", Filename = "filename", Url = "url",
    Data = "data", EncryptedContent = "encrypted_content", Signature = "signature",
    CacheControl = "cache_control", ThoughtSignature = "thought_signature", Result = "result", Images = "images",
    BudgetTokens = "budget_tokens", Parts = "parts", Message = "message", Kind = "kind", MimeType = "mimeType",
    MimeTypeSnake = "mime_type", InlineData = "inlineData", InlineDataSnake = "inline_data", FileDataCamel = "fileData",
    FileUri = "fileUri", FunctionCallCamel = "functionCall", FunctionResponse = "functionResponse", Args = "args",
    Response = "response", ThoughtSignatureCamel = "thoughtSignature", MultimodalData = "multimodal_data",
    Outputs = "outputs", Bytes = "bytes",
}

const _: () = assert!(Key::ALL.len() <= 128, "each has a bit of its own");

impl Key {
    /// Returns the key's bit in a set of keys.
    pub(super) const fn bit(self) -> u128 {
        #[expect(clippy::as_conversions, reason = "the discriminant of an enum without fields")]
        1_u128.wrapping_shl(self as u32)
    }

    /// Returns the key of this name, in any letter case if `folds`.
    pub(super) fn known(name: &str, folds: bool) -> Option<Self> {
        match name {
            // Every message has these keys, so they skip the search.
            "role" => Some(Self::Role),
            "content" => Some(Self::Content),
            "type" => Some(Self::Type),
            "text" => Some(Self::Text),
            _ => NAMES.find(name, folds).map(|(key, _)| key),
        }
    }

    /// Returns how the key's value is read within text. `opaque` means that its object's type declares encoded data.
    pub(super) const fn reading(self, opaque: bool) -> Reading {
        match self {
            Self::Role
            | Self::Type
            | Self::Id
            | Self::CallId
            | Self::ToolCallId
            | Self::ToolUseId
            | Self::Status
            | Self::Detail
            | Self::Format
            | Self::Kind
            | Self::MimeType
            | Self::MimeTypeSnake
            | Self::MediaType => Reading::Label(self),
            Self::ImageUrl
            | Self::Image
            | Self::ImageEmbeds
            | Self::InputAudio
            | Self::AudioUrl
            | Self::Audio
            | Self::VideoUrl
            | Self::Video
            | Self::File
            | Self::FileData
            | Self::FileDataCamel
            | Self::FileId
            | Self::FileUrl
            | Self::Filename
            | Self::Url
            | Self::FileUri
            | Self::InlineData
            | Self::InlineDataSnake
            | Self::EncryptedContent
            | Self::ThoughtSignature
            | Self::ThoughtSignatureCamel
            | Self::CacheControl => Reading::Nothing,
            Self::Data if opaque => Reading::Nothing,
            Self::Data | Self::Result | Self::Images | Self::MultimodalData | Self::Bytes => Reading::Encoded,
            Self::Signature => Reading::Signature,
            Self::Thinking => Reading::Sealed,
            Self::Arguments
            | Self::Parameters
            | Self::Input
            | Self::InputSchema
            | Self::Schema
            | Self::JsonSchema
            | Self::Args
            | Self::Response
            | Self::Outputs
            | Self::Variables => Reading::All,
            _ => Reading::Text,
        }
    }

    /// Returns the kind of content part that this key implies, whatever the `type` says.
    pub(super) const fn part(self) -> Option<Part> {
        match self {
            Self::ImageUrl | Self::Image | Self::ImageEmbeds | Self::InlineData | Self::InlineDataSnake => {
                Some(Part::Image)
            }
            Self::InputAudio | Self::AudioUrl | Self::Audio => Some(Part::Audio),
            Self::VideoUrl | Self::Video => Some(Part::Video),
            Self::File | Self::FileData | Self::FileDataCamel | Self::FileId | Self::FileUrl => {
                Some(Part::File)
            }
            _ => None,
        }
    }
}
