//! Images, sound, films and documents in messages.

use super::prompt::Prompt;
use crate::{
    json::{Text, Token, Walker},
    unreadable::Unreadable,
};

/// A kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Image,
    Audio,
    Video,
    Document,
}

impl Media {
    /// What the key of a message's part announces.
    pub(super) fn of(key: Text<'_>) -> Option<Self> {
        const KEYS: [(&str, Media); 10] = [
            ("image_url", Media::Image),
            ("input_image", Media::Image),
            ("input_audio", Media::Audio),
            ("audio_url", Media::Audio),
            ("video_url", Media::Video),
            ("input_video", Media::Video),
            ("file", Media::Document),
            ("input_file", Media::Document),
            ("file_url", Media::Document),
            ("document_url", Media::Document),
        ];
        KEYS.iter().find(|(name, _)| key.is(name)).map(|(_, media)| *media)
    }

    /// How many bytes of inline data count as one more of its kind. Images are scaled
    /// down by every provider, so one is one; the others go on for longer the larger
    /// they are.
    fn unit(self) -> Option<u64> {
        match self {
            Self::Image => None,
            Self::Audio | Self::Video => Some(1 << 20),
            Self::Document => Some(32 << 10),
        }
    }
}

/// Reads the value of a media key.
pub(super) fn read(
    walk: &mut Walker<'_>,
    media: Media,
    prompt: &mut Prompt,
) -> Result<(), Unreadable> {
    let outside = walk.depth();
    let mut bytes = 0;
    loop {
        match walk.token()? {
            Token::Null if walk.depth() == outside => return Ok(()),
            Token::Key(name) => prompt.open_end(name.is("file_id"), "file ids"),
            Token::Str(text) => {
                bytes += text.len() as u64;
                // Only images are of a bounded size when seen from here.
                let is_link = media != Media::Image && text.starts_with("http");
                prompt.open_end(is_link, "linked media");
            }
            _ => {}
        }
        if walk.depth() == outside {
            break;
        }
    }
    prompt.input.media += 1 + media.unit().map_or(0, |unit| bytes / unit);
    Ok(())
}
