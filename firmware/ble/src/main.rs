//! Heart rate and events over Bluetooth Low Energy, from an AD8232 on Nordic's nRF52840-DK. It has been built, and never run.
//!
//! OUTPUT to P0.02 (AIN0), LO+ to P0.28, LO- to P0.29, as the firmware's live monitor.

#![no_std]
#![no_main]

use core::future::poll_fn;
use core::mem::MaybeUninit;
use core::task::Poll;
use cortex_m::peripheral::{NVIC, SCB};
use embassy_executor::Spawner;
use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_nrf::gpio::{Input, Pull};
use embassy_nrf::interrupt::Interrupt;
use embassy_nrf::interrupt::Priority;
use embassy_nrf::saadc::{self, ChannelConfig, Resolution, Saadc};
use embassy_nrf::{bind_interrupts, peripherals, rng};
use embassy_time::{Duration, Ticker};
use heapless::Vec;
use heartlens_ble::{EVENT_BYTES, MEASUREMENT_BYTES, event, measurement};
use heartlens_core::model::{Aligned, Executor, Model, arena_words};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::wearable::{Config, Rate, Wearable};
use heartlens_embassy::{Feed, Reports, Samples, watch};
use nrf_mpsl::MultiprotocolServiceLayer;
use nrf_sdc::SoftdeviceController;
use static_cell::{ConstStaticCell, StaticCell};
use trouble_host::prelude::*;

const NAME: &str = "Heartlens";
const RATE: Rate = Rate::HZ_128;
/// 12 bits over 3.6 V (gain 1/6, reference 0.6 V) behind an AD8232 breakout's gain of 1,100, at half of 3.3 V without a signal.
const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 4096.0 / 3600.0 * 1100.0,
    zero: 1877,
};

const MODEL: &[u8] = include_bytes!("../../../models/beat/model.hlm");
static MODEL_IMAGE: Aligned<[u8; MODEL.len()]> =
    Aligned(*include_bytes!("../../../models/beat/model.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../../models/beat/rhythm.hlr");

type Watching = Wearable<'static, Executor<'static>>;

static ARENA: ConstStaticCell<[i32; arena_words(MODEL)]> =
    ConstStaticCell::new([0; arena_words(MODEL)]);
static PLACE: StaticCell<MaybeUninit<Watching>> = StaticCell::new();
static SAMPLES: Samples = Samples::new();
static REPORTS: Reports = Reports::new();

bind_interrupts!(struct Interrupts {
    RNG => rng::InterruptHandler<peripherals::RNG>;
    SAADC => saadc::InterruptHandler;
    EGU0_SWI0 => nrf_mpsl::LowPrioInterruptHandler;
    CLOCK_POWER => nrf_mpsl::ClockInterruptHandler;
    RADIO => nrf_mpsl::HighPrioInterruptHandler;
    TIMER0 => nrf_mpsl::HighPrioInterruptHandler;
    RTC0 => nrf_mpsl::HighPrioInterruptHandler;
});

#[gatt_server]
struct Server {
    heart: HeartService,
    events: EventService,
}

#[gatt_service(uuid = service::HEART_RATE)]
struct HeartService {
    #[characteristic(uuid = characteristic::HEART_RATE_MEASUREMENT, notify)]
    measurement: Vec<u8, MEASUREMENT_BYTES>,
}

/// Heartlens' own service: one characteristic, whose bytes `heartlens_ble::event` says.
#[gatt_service(uuid = "8e2f0001-5c1d-4f6a-9b3e-48656172746c")]
struct EventService {
    #[characteristic(uuid = "8e2f0002-5c1d-4f6a-9b3e-48656172746c", read, notify, value = [0; EVENT_BYTES])]
    event: [u8; EVENT_BYTES],
}

/// Starts the board again: nothing here fails but by a mistake in the program or the chip.
fn restart() -> ! {
    SCB::sys_reset()
}

fn must<T, E>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(_) => restart(),
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    restart()
}

/// Stands behind a task's work with floats, each time that it is polled.
///
/// An exception of the FPU's, such as that a result is not exact, stays in FPSCR and pends an interrupt that nobody takes, which ends
/// each sleep at once (nRF52840 errata, 87). Both are cleared before the executor sleeps.
async fn quiet() {
    poll_fn(|_| {
        #[expect(unsafe_code, reason = "a register of the core's")]
        // SAFETY: clears the bits that say which exceptions there were; the rounding mode and the flags of comparisons stay.
        unsafe {
            core::arch::asm!(
                "vmrs {0}, fpscr",
                "bic {0}, {0}, #0x9f",
                "vmsr fpscr, {0}",
                out(reg) _,
                options(nomem, nostack, preserves_flags)
            );
        }
        NVIC::unpend(Interrupt::FPU);
        Poll::Pending
    })
    .await
}

#[embassy_executor::task]
async fn radio(mpsl: &'static MultiprotocolServiceLayer<'static>) -> ! {
    mpsl.run().await
}

#[embassy_executor::task]
async fn convert(mut converter: Saadc<'static, 1>, off: [Input<'static>; 2]) {
    let mut feed = Feed::new(&SAMPLES);
    let mut ticker = Ticker::every(Duration::from_hz(u64::from(RATE.hz())));
    let mut count = [0];
    loop {
        ticker.next().await;
        converter.sample(&mut count).await;
        let on = off.iter().all(Input::is_low);
        feed.push(if on { count[0] } else { MISSING });
    }
}

#[embassy_executor::task]
async fn classify(wearable: &'static mut Watching) {
    join(watch(wearable, &SAMPLES, &REPORTS), quiet()).await;
}

fn wearable() -> Result<&'static mut Watching, ()> {
    let executor = Model::load(&MODEL_IMAGE.0)
        .and_then(|model| model.executor(ARENA.take()))
        .map_err(drop)?;
    let rhythm = Network::load(RHYTHM).map_err(drop)?;
    let config = Config {
        rate: RATE,
        calibration: CALIBRATION,
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    Wearable::init(PLACE.init(MaybeUninit::uninit()), config, executor, rhythm).map_err(drop)
}

/// Sends what happens to whoever is connected. Without a connection it is passed over.
async fn serve<C: Controller>(
    peripheral: &mut Peripheral<'_, C, DefaultPacketPool>,
    server: &Server<'_>,
) -> Result<(), BleHostError<C::Error>> {
    let mut advertised = [0; 31];
    let length = AdStructure::encode_slice(
        &[
            AdStructure::Flags(LE_GENERAL_DISCOVERABLE | BR_EDR_NOT_SUPPORTED),
            AdStructure::CompleteServiceUuids16(&[service::HEART_RATE.to_le_bytes()]),
            AdStructure::CompleteLocalName(NAME.as_bytes()),
        ],
        &mut advertised,
    )?;
    loop {
        let advertiser = peripheral
            .advertise(
                &Default::default(),
                Advertisement::ConnectableScannableUndirected {
                    adv_data: &advertised[..length],
                    scan_data: &[],
                },
            )
            .await?;
        let unheard = async {
            loop {
                REPORTS.receive().await;
            }
        };
        let connection = match select(advertiser.accept(), unheard).await {
            Either::First(connection) => connection?.with_attribute_server(server)?,
            Either::Second(()) => continue,
        };
        loop {
            match select(connection.next(), REPORTS.receive()).await {
                Either::First(GattConnectionEvent::Disconnected { .. }) => break,
                Either::First(GattConnectionEvent::Gatt { event }) => {
                    if let Ok(reply) = event.accept() {
                        reply.send().await;
                    }
                }
                Either::First(_) => {}
                Either::Second(report) => {
                    // An error is a connection that is about to end.
                    if let Some(bytes) = measurement(&report) {
                        let _ = server
                            .heart
                            .measurement
                            .notify(&connection, &bytes, false)
                            .await;
                    }
                    if let Some(bytes) = event(&report.event) {
                        let _ = server.events.event.notify(&connection, &bytes, true).await;
                    }
                }
            }
        }
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let mut config = embassy_nrf::config::Config::default();
    config.dcdc.reg1 = true;
    // 0 and 1 are the radio's.
    config.time_interrupt_priority = Priority::P2;
    config.gpiote_interrupt_priority = Priority::P2;
    let p = embassy_nrf::init(config);

    let clock = nrf_mpsl::raw::mpsl_clock_lfclk_cfg_t {
        source: nrf_mpsl::raw::MPSL_CLOCK_LF_SRC_XTAL as u8,
        rc_ctiv: 0,
        rc_temp_ctiv: 0,
        accuracy_ppm: nrf_mpsl::raw::MPSL_DEFAULT_CLOCK_ACCURACY_PPM as u16,
        skip_wait_lfclk_started: nrf_mpsl::raw::MPSL_DEFAULT_SKIP_WAIT_LFCLK_STARTED != 0,
    };
    let timing =
        nrf_mpsl::Peripherals::new(p.RTC0, p.TIMER0, p.TEMP, p.PPI_CH19, p.PPI_CH30, p.PPI_CH31);
    static MPSL: StaticCell<MultiprotocolServiceLayer<'static>> = StaticCell::new();
    let mpsl = MPSL.init(must(MultiprotocolServiceLayer::new(
        timing, Interrupts, clock,
    )));
    spawner.spawn(must(radio(mpsl)));

    static RANDOM: StaticCell<rng::Rng<'static, embassy_nrf::mode::Async>> = StaticCell::new();
    let random = RANDOM.init(rng::Rng::new(p.RNG, Interrupts));
    let channels = nrf_sdc::Peripherals::new(
        p.PPI_CH17, p.PPI_CH18, p.PPI_CH20, p.PPI_CH21, p.PPI_CH22, p.PPI_CH23, p.PPI_CH24,
        p.PPI_CH25, p.PPI_CH26, p.PPI_CH27, p.PPI_CH28, p.PPI_CH29,
    );
    static MEMORY: StaticCell<nrf_sdc::Mem<CONTROLLER_BYTES>> = StaticCell::new();
    let controller: SoftdeviceController<'static> = must(
        must(
            must(nrf_sdc::Builder::new())
                .support_adv()
                .support_peripheral()
                .peripheral_count(1),
        )
        .build(channels, random, mpsl, MEMORY.init(nrf_sdc::Mem::new())),
    );

    let mut settings = saadc::Config::default();
    settings.resolution = Resolution::_12bit;
    let converter = Saadc::new(
        p.SAADC,
        Interrupts,
        settings,
        [ChannelConfig::single_ended(p.P0_02)],
    );
    converter.calibrate().await;
    let off = [
        Input::new(p.P0_28, Pull::None),
        Input::new(p.P0_29, Pull::None),
    ];
    spawner.spawn(must(convert(converter, off)));
    spawner.spawn(must(classify(must(wearable()))));

    let mut resources: HostResources<DefaultPacketPool, 1, 2> = HostResources::new();
    let stack = trouble_host::new(controller, &mut resources)
        .set_random_address(address())
        .build();
    let server = must(Server::new_with_config(GapConfig::Peripheral(
        PeripheralConfig {
            name: NAME,
            appearance: &appearance::heart_rate_sensor::HEART_RATE_BELT,
        },
    )));
    let mut runner = stack.runner();
    let mut peripheral = stack.peripheral();
    let served = async {
        // The controller has failed.
        let _ = serve(&mut peripheral, &server).await;
        restart()
    };
    join3(runner.run(), served, quiet()).await;
}

/// Memory for the controller with one connection, in bytes: it takes what it needs of it, and refuses less.
const CONTROLLER_BYTES: usize = 8192;

/// The chip's own static random address (nRF52840 product specification, FICR DEVICEADDR): its two highest bits are set.
fn address() -> Address {
    let ficr = embassy_nrf::pac::FICR;
    let [a, b, c, d] = ficr.deviceaddr(0).read().to_le_bytes();
    let [e, f, ..] = ficr.deviceaddr(1).read().to_le_bytes();
    Address::random([a, b, c, d, e, f | 0xc0])
}
