//! The members that model servers read, in a request and in its envelopes: `parameters`, `options`, `sampling_params`,
//! or each of its `requests`. All servers share one table, because the upstream server is not known, and a name that
//! only another server reads does a request no harm.
//!
//! Sources: the API references of OpenAI, Anthropic, Cohere, Gemini, Bedrock and Ollama, A2A and MCP; of vLLM the
//! `protocol` modules of its entrypoints, of SGLang `io_struct.py` and `sampling_params.py`, of llama.cpp's server
//! `server-task.cpp` and `server-schema.cpp`, of TGI and TEI the types of their routers, of Triton its `generate`
//! extension.

use super::facts::Part;
use super::names::Names;
use super::place::Role;
use super::reading::Reading;

macro_rules! members {
    ($($(#[$doc:meta])* $member:ident = $name:literal: $reading:expr),* $(,)?) => {
        /// A known member.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Member { $($(#[$doc])* $member),* }

        impl Member {
            /// All members.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$member),*];

            /// Returns the member as the APIs spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name),* }
            }

            /// Returns how the member's value is read.
            pub(super) const fn reading(self) -> Reading {
                match self { $(Self::$member => $reading),* }
            }
        }

        const NAMES: Names<Member, { Member::ALL.len() }> = Names::new([$(($name, Member::$member)),*]);
    };
}

use Reading::{All, Bias, Envelope, Guide, Number, Settings, Stop, Text};

members! {
    Model = "model": Reading::Model,
    Stream = "stream": Reading::Nothing,
    // Chat messages.
    Messages = "messages": Text,
    ChatHistory = "chat_history": Text,
    Contents = "contents": Text,
    Items = "items": Text,
    AdditionalMessages = "additional_messages": Text,
    Message = "message": Text,
    // Input to complete, embed, rank or classify.
    Prompt = "prompt": Text,
    Input = "input": Text,
    Inputs = "inputs": Text,
    /// SGLang's prompt; in OpenAI's Responses API the output format.
    Text = "text": Text,
    Texts = "texts": Text,
    TextOne = "text_1": Text,
    TextTwo = "text_2": Text,
    DataOne = "data_1": Text,
    DataTwo = "data_2": Text,
    Queries = "queries": Text,
    Query = "query": Text,
    TextInput = "text_input": Text,
    InputText = "inputText": Text,
    InputPrefix = "input_prefix": Text,
    InputSuffix = "input_suffix": Text,
    InputExtra = "input_extra": Text,
    Suffix = "suffix": Text,
    Prediction = "prediction": Text,
    Content = "content": Text,
    Context = "context": Text,
    InputIds = "input_ids": Text,
    TokenIds = "token_ids": Text,
    PromptTokenIds = "prompt_token_ids": Text,
    Tokens = "tokens": Text,
    // Instructions to the model.
    System = "system": Text,
    SystemPrompt = "system_prompt": Text,
    SystemInstruction = "system_instruction": Text,
    SystemInstructionCamel = "systemInstruction": Text,
    Preamble = "preamble": Text,
    Instructions = "instructions": Text,
    AdditionalInstructions = "additional_instructions": Text,
    Instruction = "instruction": Text,
    /// Documents that vLLM's templates print beside the chat, or that a query is ranked against.
    Documents = "documents": All,
    ToolResults = "tool_results": All,
    Arguments = "arguments": All,
    Template = "template": All,
    /// A template that replaces the model's own.
    ChatTemplate = "chat_template": All,
    /// The variables of that template.
    ChatTemplateKwargs = "chat_template_kwargs": All,
    Tools = "tools": All,
    Functions = "functions": All,
    /// Bedrock's tools.
    ToolConfig = "toolConfig": All,
    /// The tool that the model must call.
    ToolChoice = "tool_choice": Reading::Nothing,
    ResponseFormat = "response_format": Text,
    // Media, encoded or as links, and embeddings, none of which is text.
    Images = "images": Reading::Nothing,
    Image = "image": Reading::Nothing,
    ImageData = "image_data": Reading::Nothing,
    AudioData = "audio_data": Reading::Nothing,
    VideoData = "video_data": Reading::Nothing,
    PromptEmbeds = "prompt_embeds": Reading::Nothing,
    // Maximum of completion tokens.
    MaxTokens = "max_tokens": Number,
    MaxCompletionTokens = "max_completion_tokens": Number,
    MaxOutputTokens = "max_output_tokens": Number,
    MaxOutputTokensCamel = "maxOutputTokens": Number,
    MaxTokensCamel = "maxTokens": Number,
    MaxNewTokens = "max_new_tokens": Number,
    MaxTokensToSample = "max_tokens_to_sample": Number,
    MaxTokenCount = "maxTokenCount": Number,
    MaxGenLen = "max_gen_len": Number,
    MaxLength = "max_length": Number,
    NPredict = "n_predict": Number,
    NumPredict = "num_predict": Number,
    // Minimum of completion tokens.
    MinTokens = "min_tokens": Number,
    MinNewTokens = "min_new_tokens": Number,
    /// The thinking settings of Anthropic's models.
    Thinking = "thinking": Settings,
    // Number of choices, or of the candidates for them.
    N = "n": Number,
    BestOf = "best_of": Number,
    NCmpl = "n_cmpl": Number,
    NumGenerations = "num_generations": Number,
    NumReturnSequences = "num_return_sequences": Number,
    CandidateCount = "candidateCount": Number,
    CandidateCountSnake = "candidate_count": Number,
    BeamWidth = "beam_width": Number,
    // Log probabilities for each token: a switch or a number.
    Logprobs = "logprobs": Number,
    TopLogprobs = "top_logprobs": Number,
    PromptLogprobs = "prompt_logprobs": Number,
    TopLogprobsNum = "top_logprobs_num": Number,
    TopNTokens = "top_n_tokens": Number,
    NProbs = "n_probs": Number,
    // Stop conditions.
    Stop = "stop": Stop,
    StopSequences = "stop_sequences": Stop,
    StopSequencesCamel = "stopSequences": Stop,
    StopTokenIds = "stop_token_ids": Stop,
    BadWords = "bad_words": Stop,
    // Constraints on decoding, which a server compiles.
    GuidedJson = "guided_json": Guide,
    GuidedRegex = "guided_regex": Guide,
    GuidedChoice = "guided_choice": Guide,
    GuidedGrammar = "guided_grammar": Guide,
    StructuredOutputs = "structured_outputs": Guide,
    StructuralTag = "structural_tag": Guide,
    Grammar = "grammar": Guide,
    Regex = "regex": Guide,
    Ebnf = "ebnf": Guide,
    JsonSchema = "json_schema": Guide,
    Format = "format": Guide,
    ResponseSchema = "responseSchema": Guide,
    ResponseSchemaSnake = "response_schema": Guide,
    ResponseJsonSchema = "responseJsonSchema": Guide,
    // Biased tokens, or the only tokens that are allowed.
    LogitBias = "logit_bias": Bias,
    AllowedTokenIds = "allowed_token_ids": Bias,
    /// The switch for a response that is created later and fetched by another request.
    Background = "background": Reading::Nothing,
    /// The conversation that the request and its response extend.
    Conversation = "conversation": Reading::Nothing,
    // Envelopes: objects that hold a request, or a part of one.
    Parameters = "parameters": Envelope,
    Options = "options": Envelope,
    SamplingParams = "sampling_params": Envelope,
    GenerationConfig = "generationConfig": Envelope,
    GenerationConfigSnake = "generation_config": Envelope,
    InferenceConfig = "inferenceConfig": Envelope,
    TextGenerationConfig = "textGenerationConfig": Envelope,
    GenerateContentRequest = "generateContentRequest": Envelope,
    Requests = "requests": Envelope,
    Instances = "instances": Envelope,
    Params = "params": Envelope,
    ExtraBody = "extra_body": Envelope,
    Body = "body": Envelope,
    Session = "session": Envelope,
    Response = "response": Envelope,
    Thread = "thread": Envelope,
}

/// Members that no model reads: the client's identity, and how the response is delivered. They are ignored.
const IGNORED: Names<Reading, 24> = Names::new([
    ("user", Reading::Nothing),
    ("user_id", Reading::Nothing),
    ("metadata", Reading::Nothing),
    ("safety_identifier", Reading::Nothing),
    ("prompt_cache_key", Reading::Nothing),
    ("prompt_cache_retention", Reading::Nothing),
    ("cache_salt", Reading::Nothing),
    ("session_id", Reading::Nothing),
    ("custom_id", Reading::Nothing),
    ("request_id", Reading::Nothing),
    ("rid", Reading::Nothing),
    ("id", Reading::Nothing),
    ("previous_response_id", Reading::Nothing),
    ("service_tier", Reading::Nothing),
    ("include", Reading::Nothing),
    ("modalities", Reading::Nothing),
    ("audio", Reading::Nothing),
    ("reasoning", Reading::Nothing),
    ("reasoning_effort", Reading::Nothing),
    ("stream_options", Reading::Nothing),
    ("mcp_servers", Reading::Nothing),
    ("container", Reading::Nothing),
    ("kv_transfer_params", Reading::Nothing),
    ("input_embeds", Reading::Nothing),
]);

/// The meaning of the elements of a member's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    Messages,
    /// Objects are messages; other elements are prompts.
    Items,
    /// Prompts, for each of which the model runs.
    Prompts,
    Tools,
    Media(Part),
    Others,
}

impl Member {
    /// The members that limit completion tokens.
    pub const COMPLETION_TOKENS: [Self; 12] = [
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::MaxOutputTokens,
        Self::MaxOutputTokensCamel,
        Self::MaxTokensCamel,
        Self::MaxNewTokens,
        Self::MaxTokensToSample,
        Self::MaxTokenCount,
        Self::MaxGenLen,
        Self::MaxLength,
        Self::NPredict,
        Self::NumPredict,
    ];

    /// The members that demand a minimum of completion tokens.
    pub const LEAST_TOKENS: [Self; 2] = [Self::MinTokens, Self::MinNewTokens];

    /// The members that ask for choices.
    pub const CHOICES: [Self; 8] = [
        Self::N,
        Self::BestOf,
        Self::NCmpl,
        Self::NumGenerations,
        Self::NumReturnSequences,
        Self::CandidateCount,
        Self::CandidateCountSnake,
        Self::BeamWidth,
    ];

    /// The members that ask for log probabilities.
    pub const LOGPROBS: [Self; 6] = [
        Self::Logprobs,
        Self::TopLogprobs,
        Self::PromptLogprobs,
        Self::TopLogprobsNum,
        Self::TopNTokens,
        Self::NProbs,
    ];

    /// Returns the member's bit in a set of members.
    pub(super) const fn bit(self) -> u128 {
        #[expect(clippy::as_conversions, reason = "the discriminant of an enum without fields")]
        1_u128.wrapping_shl(self as u32)
    }

    /// Returns the member of this name and true if the name is spelled exactly, then how its value is read. Names match
    /// in any letter case if `folds`.
    pub(super) fn read_as(name: &str, folds: bool) -> (Option<(Self, bool)>, Reading) {
        let member = NAMES.find(name, folds);
        let reading = match member {
            Some((member, _)) => member.reading(),
            None => IGNORED.find(name, folds).map_or(Reading::Unknown, |(reading, _)| reading),
        };
        (member, reading)
    }

    /// Returns true if the member is input for a model.
    pub(super) const fn asks(self) -> bool {
        match self {
            Self::ResponseFormat | Self::Tools | Self::Functions | Self::ToolConfig => false,
            Self::PromptEmbeds => true,
            _ => matches!(self.reading(), Text | All) || matches!(self.elements(), Elements::Media(_)),
        }
    }

    /// Returns the role of a member's text outside messages.
    pub(super) const fn role(self) -> Option<Role> {
        match self {
            Self::System
            | Self::SystemPrompt
            | Self::SystemInstruction
            | Self::SystemInstructionCamel
            | Self::Preamble
            | Self::Instructions
            | Self::AdditionalInstructions => Some(Role::System),
            _ => None,
        }
    }

    /// Returns the meaning of the member's elements. A lone string or object counts as one element.
    pub(super) const fn elements(self) -> Elements {
        match self {
            Self::Messages | Self::ChatHistory | Self::Contents | Self::AdditionalMessages => {
                Elements::Messages
            }
            Self::Input | Self::Items => Elements::Items,
            Self::Prompt
            | Self::Inputs
            | Self::Text
            | Self::Texts
            | Self::TextOne
            | Self::TextTwo
            | Self::DataOne
            | Self::DataTwo
            | Self::Queries
            | Self::TextInput
            | Self::InputText
            | Self::InputIds
            | Self::TokenIds
            | Self::PromptTokenIds
            | Self::Tokens => Elements::Prompts,
            Self::Tools | Self::Functions => Elements::Tools,
            Self::Images | Self::Image | Self::ImageData => Elements::Media(Part::Image),
            Self::AudioData => Elements::Media(Part::Audio),
            Self::VideoData => Elements::Media(Part::Video),
            _ => Elements::Others,
        }
    }

    /// Returns true if the elements are messages with a role each.
    pub fn holds_messages(self) -> bool {
        matches!(self.elements(), Elements::Messages | Elements::Items)
    }

    /// Returns true if numbers in the member's lists are token ids.
    pub(super) const fn holds_tokens(self) -> bool {
        matches!(self.elements(), Elements::Prompts | Elements::Items) || matches!(self, Self::Context)
    }
}

const _: () = assert!(Member::ALL.len() <= 128, "each has a bit of its own");
