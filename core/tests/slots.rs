//! Model slots on a simulated NOR flash whose power is cut at every step.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use heartlens_core::link::CRC;
use heartlens_core::slots::{HEADER_BYTES, MappedFlash, Slot, SlotError, Slots};

const PAGE: usize = 256;
const WORD: usize = 4;
const SLOT: usize = 4 * PAGE;

/// What the word or page under work is left as when the power goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Before,
    /// Only these bits were changed; the seed makes each byte's own.
    Amid(u8),
    After,
}

const CUTS: [Cut; 5] = [
    Cut::Before,
    Cut::Amid(0x5a),
    Cut::Amid(0x81),
    Cut::Amid(0x37),
    Cut::After,
];

/// Writing clears bits, word by word, each at most once between erasures; erasing sets all of a page.
#[derive(Debug, Clone)]
struct Flash {
    bytes: Vec<u8>,
    written: Vec<bool>,
    steps: usize,
    cut: Option<(usize, Cut)>,
    /// The write or erasure that begins with this step fails, and the power stays.
    refuses: Option<(usize, Refusal)>,
    dead: bool,
}

/// How far a write or an erasure comes that fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refusal {
    /// It leaves no trace.
    Untouched,
    /// Its first word or page is done.
    Begun,
    /// All of it is done, and the flash says that it is not.
    Done,
}

impl Flash {
    fn new() -> Self {
        Self {
            bytes: vec![0xff; 2 * SLOT],
            written: vec![false; 2 * SLOT / WORD],
            steps: 0,
            cut: None,
            refuses: None,
            dead: false,
        }
    }

    /// With this model in slot A.
    fn with(model: &[u8]) -> Self {
        let mut slots = open(Self::new()).expect("no cut");
        exchange(&mut slots, model).expect("no cut");
        slots.into_flash().powered(None)
    }

    /// The same flash, powered again, to be cut at its `step`-th step from here.
    fn powered(&self, cut: Option<(usize, Cut)>) -> Self {
        Self {
            steps: 0,
            cut,
            refuses: None,
            dead: false,
            ..self.clone()
        }
    }

    /// How the write or erasure that begins now fails, if it does.
    fn refusal(&mut self) -> Option<Refusal> {
        let (_, refusal) = self.refuses.take_if(|(step, _)| *step == self.steps)?;
        Some(refusal)
    }

    /// Which of the bits of a byte are changed now: all, some, or none.
    fn mask(&mut self, at: usize) -> Result<u8, u8> {
        if self.dead {
            return Err(0);
        }
        match self.cut {
            Some((step, cut)) if step == self.steps => Err(match cut {
                Cut::Before => 0,
                Cut::Amid(seed) => seed.rotate_left(at as u32).wrapping_mul(at as u8 | 1),
                Cut::After => 0xff,
            }),
            _ => Ok(0xff),
        }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        let refusal = self.refusal();
        let to = match refusal {
            Some(Refusal::Untouched) => return Err(NorFlashErrorKind::Other),
            Some(Refusal::Begun) => from + PAGE as u32,
            Some(Refusal::Done) | None => to,
        };
        for page in (from as usize..to as usize).step_by(PAGE) {
            for at in page..page + PAGE {
                let mask = self.mask(at);
                self.bytes[at] |= mask.unwrap_or_else(|some| some);
                if self.bytes[at] == 0xff {
                    self.written[at / WORD] = false;
                }
            }
            if self.mask(page).is_err() {
                self.dead = true;
                return Err(NorFlashErrorKind::Other);
            }
            self.steps += 1;
        }
        refusal.map_or(Ok(()), |_| Err(NorFlashErrorKind::Other))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let refusal = self.refusal();
        let bytes = match refusal {
            Some(Refusal::Untouched) => return Err(NorFlashErrorKind::Other),
            Some(Refusal::Begun) => bytes.get(..WORD).unwrap_or(bytes),
            Some(Refusal::Done) | None => bytes,
        };
        for (word, new) in bytes.chunks(WORD).enumerate() {
            let start = offset as usize + word * WORD;
            let masks = [0, 1, 2, 3].map(|i| self.mask(start + i));
            if masks[0] != Err(0) {
                assert!(
                    !self.written[start / WORD],
                    "the word at {start} is written twice"
                );
                self.written[start / WORD] = true;
            }
            for (i, mask) in masks.into_iter().enumerate() {
                self.bytes[start + i] &= new[i] | !mask.unwrap_or_else(|some| some);
            }
            if masks[0].is_err() {
                self.dead = true;
                return Err(NorFlashErrorKind::Other);
            }
            self.steps += 1;
        }
        refusal.map_or(Ok(()), |_| Err(NorFlashErrorKind::Other))
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What counts as a model: it starts with `M`.
fn fits(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'M')
}

fn model(seed: u32, len: usize) -> Vec<u8> {
    let mut model: Vec<u8> = (0..len as u32).map(|i| (i * 7 + seed) as u8).collect();
    model[0] = b'M';
    model
}

fn open(flash: Flash) -> Result<Slots<Flash>, SlotError> {
    Slots::open(flash, fits)
}

/// Sends a model over, up to its first use.
fn send(slots: &mut Slots<Flash>, model: &[u8]) -> Result<(), SlotError> {
    slots.begin(model.len() as u32, CRC.checksum(model))?;
    let mut offset = 0;
    for part in model.chunks(128) {
        offset = slots.write(offset, part)?;
    }
    slots.end(|bytes| match fits(bytes) {
        true => Ok(()),
        false => Err(SlotError::NotBegun),
    })
}

fn exchange(slots: &mut Slots<Flash>, model: &[u8]) -> Result<(), SlotError> {
    send(slots, model)?;
    slots.confirm()
}

/// Steps that an exchange takes on this flash, without a cut.
fn steps(flash: &Flash, model: &[u8]) -> usize {
    let mut slots = open(flash.powered(None)).expect("boots");
    exchange(&mut slots, model).expect("no cut");
    slots.into_flash().steps
}

/// Whatever was cut off, the device starts with one of the two models, again and again, and takes the new one after all.
/// Where there was no old one, the device has one built in.
fn recovers(flash: &Flash, old: Option<&[u8]>, new: &[u8]) {
    let slots = open(flash.powered(None)).expect("boots");
    let first = slots.model().map(<[u8]>::to_vec);
    assert!(first.as_deref() == old || first.as_deref() == Some(new));
    let mut slots = open(slots.into_flash().powered(None)).expect("boots again");
    let second = slots.model();
    assert!(
        second == old || second == first.as_deref(),
        "a trial ends with the old model"
    );
    let newer = model(99, 300);
    assert_eq!(exchange(&mut slots, &newer), Ok(()));
    let slots = open(slots.into_flash().powered(None)).expect("boots");
    assert_eq!(slots.model(), Some(&newer[..]));
}

#[test]
fn a_power_cut_at_any_step_leaves_a_model_to_start_with() {
    let (old, new) = (model(1, 500), model(2, 777));
    // Into an empty flash, into an empty slot, and over a model that was there before.
    let once = Flash::with(&old);
    let mut slots = open(once.clone()).expect("boots");
    exchange(&mut slots, &model(3, 900)).expect("no cut");
    exchange(&mut slots, &old).expect("no cut");
    let worn = slots.into_flash().powered(None);

    let mut cases = 0;
    for (flash, old) in [
        (Flash::new(), None),
        (once, Some(&old[..])),
        (worn, Some(&old[..])),
    ] {
        let all = steps(&flash, &new);
        assert!(all > 200, "{all} steps");
        for step in 0..all {
            for cut in CUTS {
                let mut slots = open(flash.powered(Some((step, cut)))).expect("old and confirmed");
                assert_eq!(exchange(&mut slots, &new), Err(SlotError::Flash));
                let dead = slots.into_flash();
                recovers(&dead, old, &new);
                // The start after it may be cut as well.
                for again in 0..WORD {
                    for cut in CUTS {
                        let mut after = dead.powered(Some((again, cut)));
                        let result = Slots::open(&mut after, fits).map(|_| ());
                        assert!(matches!(result, Ok(()) | Err(SlotError::Flash)));
                        recovers(&after, old, &new);
                        cases += 1;
                    }
                }
            }
        }
    }
    assert!(cases > 60_000, "{cases}");
    println!(
        "held: power cut at every write of the slots: {cases} cuts, a model to start with after each"
    );
}

#[test]
fn the_old_model_stays_until_the_new_one_has_classified_a_beat() {
    let (old, new) = (model(1, 500), model(2, 777));
    let mut slots = open(Flash::with(&old)).expect("boots");
    assert_eq!(
        (slots.active(), slots.model()),
        (Some(Slot::A), Some(&old[..]))
    );
    send(&mut slots, &new).expect("no cut");
    assert_eq!(
        (slots.active(), slots.model()),
        (Some(Slot::B), Some(&new[..]))
    );
    assert_eq!(slots.begin(10, 0), Err(SlotError::OnTrial));

    // Started again without a beat: the old one, and the new one may be sent once more.
    let mut slots = open(slots.into_flash()).expect("boots");
    assert_eq!(slots.model(), Some(&old[..]));
    send(&mut slots, &new).expect("no cut");
    slots.confirm().expect("no cut");
    let mut slots = open(slots.into_flash()).expect("boots");
    assert_eq!(slots.model(), Some(&new[..]));
    // The third goes to the slot of the first.
    exchange(&mut slots, &model(3, 20)).expect("no cut");
    assert_eq!(slots.active(), Some(Slot::A));
}

#[test]
fn a_confirmation_that_failed_keeps_the_old_model() {
    let (old, new) = (model(1, 500), model(2, 777));
    let mut flash = Flash::with(&old);
    // The confirmation is the last 16 bytes of an exchange.
    flash.refuses = Some((steps(&flash, &new) - 16 / WORD, Refusal::Untouched));
    let mut slots = open(flash).expect("boots");
    send(&mut slots, &new).expect("no cut");
    assert_eq!(slots.confirm(), Err(SlotError::Flash));
    assert_eq!(slots.model(), Some(&new[..]), "in use until the next start");
    assert_eq!(
        slots.confirm(),
        Err(SlotError::Flash),
        "it is not confirmed"
    );
    assert_eq!(slots.begin(300, 0), Err(SlotError::OnTrial));

    let mut slots = open(slots.into_flash().powered(None)).expect("boots");
    assert_eq!(slots.model(), Some(&old[..]));
    exchange(&mut slots, &new).expect("no cut");
    let slots = open(slots.into_flash().powered(None)).expect("boots");
    assert_eq!(slots.model(), Some(&new[..]));
}

/// A flash that fails once, at any write or erasure, and goes on: whoever sends hears of it, the model in use stays in use, and the
/// model can be sent again at once, or after a start.
#[test]
fn a_write_that_fails_at_any_step_leaves_a_model_to_start_with() {
    let (old, new) = (model(1, 500), model(2, 777));
    let once = Flash::with(&old);
    let mut slots = open(once.clone()).expect("boots");
    exchange(&mut slots, &model(3, 900)).expect("no failure");
    exchange(&mut slots, &old).expect("no failure");
    let worn = slots.into_flash().powered(None);
    let mut failed = 0;
    for (before, old) in [
        (Flash::new(), None),
        (once, Some(&old[..])),
        (worn, Some(&old[..])),
    ] {
        for step in 0..steps(&before, &new) {
            for refusal in [Refusal::Untouched, Refusal::Begun, Refusal::Done] {
                let mut flash = before.powered(None);
                flash.refuses = Some((step, refusal));
                let mut slots = open(flash).expect("old and confirmed");
                match exchange(&mut slots, &new) {
                    // Amid a write, nothing can begin to fail.
                    Ok(()) => continue,
                    Err(error) => assert_eq!(error, SlotError::Flash),
                }
                failed += 1;
                let used = slots.model().map(<[u8]>::to_vec);
                assert!(used.as_deref() == old || used.as_deref() == Some(&new[..]));
                recovers(&slots.into_flash().powered(None), old, &new);

                // Sent again without a start in between, unless the new one is in use and could not be confirmed.
                let mut flash = before.powered(None);
                flash.refuses = Some((step, refusal));
                let mut slots = open(flash).expect("old and confirmed");
                assert_eq!(exchange(&mut slots, &new), Err(SlotError::Flash));
                match exchange(&mut slots, &new) {
                    Ok(()) => assert_eq!(slots.model(), Some(&new[..])),
                    Err(error) => {
                        assert_eq!(error, SlotError::OnTrial);
                        assert_eq!(slots.model(), Some(&new[..]));
                    }
                }
                recovers(&slots.into_flash().powered(None), old, &new);
            }
        }
    }
    assert!(failed > 100, "{failed}");
    println!(
        "held: every write and erasure of the slots fails once: {failed} failures, the sender hears of each, no model is lost"
    );
}

#[test]
fn what_is_not_the_model_announced_is_refused() {
    let old = model(1, 500);
    let new = model(2, 777);
    let crc = CRC.checksum(&new);
    let mut slots = open(Flash::with(&old)).expect("boots");
    assert_eq!(slots.write(0, &new[..16]), Err(SlotError::NotBegun));
    let room = (SLOT - HEADER_BYTES) as u32;
    assert_eq!(
        slots.begin(room + 1, 0),
        Err(SlotError::TooLong {
            found: room + 1,
            room
        })
    );
    assert_eq!(slots.begin(room, 0), Ok(()));
    assert_eq!(slots.begin(777, crc), Ok(()));
    for len in [15, 778] {
        let part = vec![0; len];
        let error = SlotError::Part {
            offset: 0,
            len: len as u32,
            model: 777,
        };
        assert_eq!(slots.write(0, &part), Err(error));
    }
    assert_eq!(slots.write(0, &new[..128]), Ok(128));
    assert_eq!(slots.write(0, &new[..128]), Ok(128), "came twice");
    assert_eq!(slots.write(256, &new[256..384]), Ok(128), "one is missing");
    let end = |slots: &mut Slots<Flash>| slots.end(|_| Ok::<(), SlotError>(()));
    assert_eq!(
        end(&mut slots),
        Err(SlotError::NotWhole {
            found: 128,
            expected: 777
        })
    );
    assert_eq!(end(&mut slots), Err(SlotError::NotBegun));

    slots.begin(777, crc ^ 1).expect("room");
    slots.write(0, &new).expect("one part");
    assert_eq!(
        end(&mut slots),
        Err(SlotError::Crc {
            found: crc,
            expected: crc ^ 1
        })
    );
    let mut stranger = new.clone();
    stranger[0] = b'X';
    assert_eq!(
        send(&mut slots, &stranger),
        Err(SlotError::NotBegun),
        "does not fit"
    );
    assert_eq!(slots.model(), Some(&old[..]));
    let slots = open(slots.into_flash()).expect("boots");
    assert_eq!(slots.model(), Some(&old[..]));
}

#[test]
fn empty_or_damaged_flash_has_no_model() {
    assert_eq!(open(Flash::new()).expect("opens").model(), None);
    let old = model(1, 500);
    let whole = Flash::with(&old);
    for at in (0..TRIED)
        .filter(|at| *at < 20)
        .chain(HEADER_BYTES..HEADER_BYTES + 500)
    {
        for bit in 0..8 {
            let mut flash = whole.clone();
            flash.bytes[at] ^= 1 << bit;
            assert_eq!(
                open(flash).expect("opens").model(),
                None,
                "byte {at}, bit {bit}"
            );
        }
    }
    // An empty device takes its first model.
    let mut slots = open(Flash::new()).expect("opens");
    exchange(&mut slots, &old).expect("no cut");
    assert_eq!(
        open(slots.into_flash()).expect("boots").model(),
        Some(&old[..])
    );
}

/// Header bytes before the notes.
const TRIED: usize = 32;
