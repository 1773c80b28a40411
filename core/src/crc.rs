//! The one checksum: CRC-32 (ISO-HDLC, as in zip and PNG).

use ::crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// Of images, which are few: without a table, because flash is small.
pub(crate) const CRC_OF_IMAGES: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Of packets and of transmitted models, which are many: with a table of 1 KiB.
#[cfg(any(feature = "link", feature = "slots"))]
pub(crate) const CRC_OF_MODELS: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
