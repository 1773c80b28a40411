//! The demo record at 128 Hz as a converter would give it, one task; its classification, another; and what happens, printed by a
//! third as it comes. For QEMU's netduinoplus2; on a board, time driver and converter are the hardware's.

#![no_std]
#![no_main]

mod time;

use core::mem::MaybeUninit;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Ticker};
use heartlens_core::model::{Aligned, Executor, Model, arena_words};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::wearable::{Config, Rate, Wearable};
use heartlens_embassy::{Feed, Reports, Sample, Samples, watch};
use semihosting::process::ExitCode;
use semihosting::{eprintln, println};
use static_cell::{ConstStaticCell, StaticCell};

const MODEL: &[u8] = include_bytes!("../../../../../models/beat/model.hlm");
static MODEL_IMAGE: Aligned<[u8; MODEL.len()]> =
    Aligned(*include_bytes!("../../../../../models/beat/model.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../../../../models/beat/rhythm.hlr");

/// Number of samples, counts per millivolt and zero, four bytes each, then counts of two bytes.
const RECORDING: &[u8] = include_bytes!("../../../../stretch/demo.bin");

/// Samples that are played: two minutes. QEMU takes a third of that.
const PLAYED: usize = 120 * 128;

type Watching = Wearable<'static, Executor<'static>>;

static ARENA: ConstStaticCell<[i32; arena_words(MODEL)]> =
    ConstStaticCell::new([0; arena_words(MODEL)]);
static PLACE: StaticCell<MaybeUninit<Watching>> = StaticCell::new();
static SAMPLES: Samples = Samples::new();
static REPORTS: Reports = Reports::new();
/// The recording is over, and its last event has been sent.
static OVER: Signal<CriticalSectionRawMutex, ()> = Signal::new();

#[embassy_executor::task]
async fn convert() {
    let mut feed = Feed::new(&SAMPLES);
    let mut ticker = Ticker::every(Duration::from_hz(128));
    let (counts, _) = RECORDING[12..].as_chunks::<2>();
    for count in counts.iter().take(PLAYED) {
        ticker.next().await;
        feed.push(i16::from_le_bytes(*count));
    }
    println!("lost {}", feed.lost());
    SAMPLES.send(Sample::End).await;
}

#[embassy_executor::task]
async fn classify(wearable: &'static mut Watching) {
    watch(wearable, &SAMPLES, &REPORTS).await;
    OVER.signal(());
}

/// Makes all that is classified with, in statics.
fn start() -> Result<&'static mut Watching, &'static str> {
    let executor = Model::load(&MODEL_IMAGE.0)
        .and_then(|model| model.executor(ARENA.take()))
        .map_err(|_| "the beat model")?;
    let rhythm = Network::load(RHYTHM).map_err(|_| "the rhythm network")?;
    let config = Config {
        rate: Rate::HZ_128,
        calibration: Calibration {
            counts_per_mv: 1000.0,
            zero: 0,
        },
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let place = PLACE.init(MaybeUninit::uninit());
    Wearable::init(place, config, executor, rhythm).map_err(|_| "the calibration")
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    time::start();
    let tasks = start().and_then(|wearable| {
        let tasks = (classify(wearable), convert());
        match tasks {
            (Ok(classify), Ok(convert)) => Ok((classify, convert)),
            _ => Err("a task that runs already"),
        }
    });
    match tasks {
        Ok((classify, convert)) => {
            spawner.spawn(classify);
            spawner.spawn(convert);
        }
        Err(what) => {
            eprintln!("{what} does not fit");
            ExitCode::FAILURE.exit_process();
        }
    }
    loop {
        match select(REPORTS.receive(), OVER.wait()).await {
            Either::First(report) => println!("{:?}", report.event),
            Either::Second(()) => ExitCode::SUCCESS.exit_process(),
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    ExitCode::FAILURE.exit_process()
}
