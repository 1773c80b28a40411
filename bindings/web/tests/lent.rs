//! A record that is lent is the record on the disk, whatever part of it is asked for.

use heartlens_records::{Given, Record, give, take_back};
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// A file in memory that gives little at a time, and counts.
struct Lent {
    bytes: Vec<u8>,
    most: Rc<Cell<usize>>,
}

impl Given for Lent {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.most.set(self.most.get().max(into.len()));
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        let now = rest.len().min(into.len()).min(1000);
        into[..now].copy_from_slice(&rest[..now]);
        Ok(now)
    }
}

#[test]
fn a_lent_record_is_the_record() -> Result<(), Box<dyn Error>> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/demo");
    let most = Rc::new(Cell::new(0));
    for extension in ["hea", "dat", "atr"] {
        let lent = Lent {
            bytes: std::fs::read(demo.with_extension(extension))?,
            most: Rc::clone(&most),
        };
        give(format!("lent/demo.{extension}"), lent);
    }
    let (lent, stored) = (Record::open("lent/demo")?, Record::open(&demo)?);
    assert_eq!(lent.leads(), stored.leads());
    for lead in 0..lent.leads().len() {
        assert_eq!(lent.read_lead(lead)?, stored.read_lead(lead)?);
    }
    assert_eq!(lent.annotations("atr")?, stored.annotations("atr")?);
    // No part that is asked for is large: a record of gigabytes is never whole in memory.
    assert!((1..1 << 20).contains(&most.get()), "{}", most.get());

    assert!(take_back("lent/demo.dat") && !take_back("lent/demo.dat"));
    assert!(lent.read_lead(0).is_err());
    let gone = Record::open("lent/demo").expect_err("its signal is gone");
    assert!(gone.to_string().contains("demo.dat"), "{gone}");
    Ok(())
}

#[test]
fn what_is_not_lent_is_read_from_the_disk() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("heartlens-lent-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("s.csv");
    std::fs::write(&path, "time (s),mV\n0,1\n0.004,2\n0.008,3\n")?;
    let read = Record::open(&path).and_then(|record| record.read_lead(0));
    std::fs::remove_dir_all(&folder)?;
    assert_eq!(read?, [1.0, 2.0, 3.0]);
    assert!(Record::open("no/such/record").is_err());
    Ok(())
}
