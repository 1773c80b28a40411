//! What `cargo xtask package c` writes: found by CMake and pkg-config, asked for rightly by the wrappers, and the Arduino sketch.

use super::{Result, assert_same, expected, expected_with_strips, is_there, root, run, stretch};
use saphyr::{LoadableYamlNode as _, Yaml};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The package's folder; it is written once for all tests.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let repository = root().join("../..");
        let mut xtask = Command::new(env!("CARGO"));
        xtask.current_dir(&repository);
        run(xtask.args(["run", "--quiet", "--package", "xtask", "--", "package", "c"]))
            .expect("cargo xtask package c");
        repository.join("target/package/c")
    })
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(package().join(name)).map_err(|error| format!("{name}: {error}").into())
}

/// What the native program prints: the example, then the same samples with the strip network.
fn both() -> Result<String> {
    Ok(expected()? + &expected_with_strips()?)
}

#[test]
fn cmake_finds_the_package_and_its_program_gives_cores_events() -> Result {
    if !is_there("cmake") || !is_there("gcc") {
        return Ok(());
    }
    let folder = root().join("target/cmake");
    let _ = fs::remove_dir_all(&folder);
    let configure = |more: &str, folder: &Path| {
        run(Command::new("cmake")
            .arg("-S")
            .arg(root().join("tests/cmake"))
            .arg("-B")
            .arg(folder)
            .arg(format!("-DHEARTLENS_PACKAGE={}", package().display()))
            .arg(format!("-DSTRETCH={}", stretch().display()))
            .arg(more))
    };
    configure("-DCMAKE_BUILD_TYPE=Release", &folder)?;
    run(Command::new("cmake").arg("--build").arg(&folder))?;
    assert_same(&run(&mut Command::new(folder.join("beats")))?, &both()?);
    let error = configure("-DHEARTLENS_TARGET=z80", &root().join("target/cmake-z80"))
        .expect_err("there is no such library");
    let error = error.to_string();
    assert!(error.contains("/lib/z80/libheartlens.a"), "{error}");
    Ok(())
}

#[test]
fn pkg_config_finds_the_package_and_its_program_gives_cores_events() -> Result {
    if !is_there("pkg-config") || !is_there("gcc") {
        return Ok(());
    }
    let ask = |arguments: &[&str]| {
        run(Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", package().join("lib/pkgconfig"))
            .args(arguments)
            .arg("heartlens"))
    };
    let program = root().join("target/beats-pkg-config");
    run(Command::new("gcc")
        .current_dir(root())
        .arg(format!("-DSTRETCH=\"{}\"", stretch().display()))
        .args(["examples/beats.c", "tests/report.c", "tests/native.c"])
        .arg("tests/stretch.S")
        .args(ask(&["--cflags", "--libs"])?.split_whitespace())
        .arg("-o")
        .arg(&program))?;
    assert_same(&run(&mut Command::new(program))?, &both()?);
    let device = ask(&["--define-variable=target=thumbv6m-none-eabi", "--libs"])?;
    assert!(device.contains("lib/thumbv6m-none-eabi"), "{device}");
    assert_eq!(ask(&["--modversion"])?.trim(), env!("CARGO_PKG_VERSION"));
    Ok(())
}

/// Whether an archive's objects keep floats in floating-point registers between functions, and whether they have such a unit.
#[test]
fn each_library_is_built_for_its_core_and_float_abi() -> Result {
    if !is_there("arm-none-eabi-readelf") {
        return Ok(());
    }
    for (target, unit, registers) in [
        ("thumbv7em-none-eabihf", true, true),
        ("thumbv7em-none-eabi", true, false),
        ("thumbv8m.main-none-eabihf", true, true),
        ("thumbv6m-none-eabi", false, false),
    ] {
        // The compiler's own object is enough: it holds all of the crate, but none of the run-time library.
        let folder = root().join("target/objects").join(target);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let library = package().join(format!("lib/{target}/libheartlens.a"));
        let names = run(Command::new("arm-none-eabi-ar").arg("t").arg(&library))?;
        let own = names
            .lines()
            .find(|name| name.starts_with("heartlens_c"))
            .ok_or("no object of the crate's own")?;
        run(Command::new("arm-none-eabi-ar")
            .current_dir(&folder)
            .arg("x")
            .arg(&library)
            .arg(own))?;
        let attributes = run(Command::new("arm-none-eabi-readelf")
            .arg("-A")
            .arg(folder.join(own)))?;
        assert_eq!(attributes.contains("Tag_FP_arch"), unit, "{target}");
        assert_eq!(
            attributes.contains("Tag_ABI_VFP_args"),
            registers,
            "{target}"
        );
    }
    Ok(())
}

#[test]
fn the_wrappers_descriptions_parse_and_name_files_that_are_there() -> Result {
    let yaml = |name: &str| -> Result<Yaml<'static>> {
        let text = read(name)?.leak();
        let documents = Yaml::load_from_str(text)?;
        Ok(documents.into_iter().next().ok_or("no document")?)
    };
    let module = yaml("zephyr/module.yml")?;
    assert_eq!(module["name"].as_str(), Some("heartlens"));
    let folder = module["build"]["cmake"].as_str().ok_or("build.cmake")?;
    assert!(package().join(folder).join("CMakeLists.txt").is_file());
    let kconfig = module["build"]["kconfig"].as_str().ok_or("build.kconfig")?;
    assert!(read(kconfig)?.contains("\nconfig HEARTLENS\n"));

    let component = yaml("idf_component.yml")?;
    assert_eq!(
        component["version"].as_str(),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert!(component["dependencies"]["idf"].as_str().is_some());
    let targets = component["targets"].as_sequence().ok_or("targets")?;
    assert!(
        targets
            .iter()
            .all(|t| t.as_str().is_some_and(|t| t.starts_with("esp32")))
    );

    let properties = read("arduino/Heartlens/library.properties")?;
    let properties: HashMap<&str, &str> = properties
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    // The fields that Arduino's library specification asks for.
    for field in [
        "name",
        "version",
        "author",
        "maintainer",
        "sentence",
        "paragraph",
        "category",
        "url",
        "architectures",
    ] {
        assert!(
            properties.get(field).is_some_and(|text| !text.is_empty()),
            "{field}"
        );
    }
    assert_eq!(properties["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(properties["precompiled"], "full");
    let header = format!("arduino/Heartlens/src/{}", properties["includes"]);
    assert_eq!(read(&header)?, read("include/heartlens.h")?);
    Ok(())
}

/// What a wrapper's `CMakeLists.txt` asks its framework for; an error is in the text, too.
fn asked(framework: &str, settings: &[&str]) -> Result<String> {
    let output = Command::new("cmake")
        .arg(format!("-DPACKAGE={}", package().canonicalize()?.display()))
        .arg(format!("-DFRAMEWORK={framework}"))
        .args(settings.iter().map(|setting| format!("-D{setting}")))
        .arg("-P")
        .arg(root().join("tests/cmake/frameworks.cmake"))
        .output()?;
    Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
}

#[test]
fn the_zephyr_module_takes_the_library_of_the_core() -> Result {
    if !is_there("cmake") {
        return Ok(());
    }
    for (settings, target) in [
        (
            &[
                "CONFIG_CPU_CORTEX_M4=y",
                "CONFIG_FPU=y",
                "CONFIG_FP_HARDABI=y",
            ][..],
            "thumbv7em-none-eabihf",
        ),
        (
            &["CONFIG_CPU_CORTEX_M4=y", "CONFIG_FPU=y"],
            "thumbv7em-none-eabi",
        ),
        (
            &[
                "CONFIG_CPU_CORTEX_M33=y",
                "CONFIG_FPU=y",
                "CONFIG_FP_HARDABI=y",
            ],
            "thumbv8m.main-none-eabihf",
        ),
        (&["CONFIG_CPU_CORTEX_M0PLUS=y"], "thumbv6m-none-eabi"),
        (&["CONFIG_RISCV=y"], "riscv32imc-unknown-none-elf"),
    ] {
        let mut all = vec!["CONFIG_HEARTLENS=y"];
        all.extend(settings);
        let text = asked("zephyr", &all)?;
        let library = format!("/lib/{target}/libheartlens.a");
        assert!(
            text.contains("library heartlens ") && text.contains(&library),
            "{text}"
        );
        assert!(text.contains("include "), "{text}");
    }
    // Not chosen in Kconfig, it asks for nothing.
    assert_eq!(asked("zephyr", &[])?, "");
    Ok(())
}

#[test]
fn the_esp_idf_component_takes_the_library_for_risc_v_and_refuses_other_cores() -> Result {
    if !is_there("cmake") {
        return Ok(());
    }
    let text = asked(
        "esp-idf",
        &["ESP_PLATFORM=1", "CONFIG_IDF_TARGET_ARCH_RISCV=y"],
    )?;
    assert!(text.contains("register INCLUDE_DIRS include"), "{text}");
    assert!(
        text.contains("link component INTERFACE heartlens_prebuilt"),
        "{text}"
    );
    assert!(!text.contains("Error"), "{text}");
    let text = asked("esp-idf", &["ESP_PLATFORM=1", "IDF_TARGET=esp32s3"])?;
    assert!(text.contains("no library for esp32s3"), "{text}");
    let text = asked("esp-idf", &[])?;
    assert!(text.contains("find_package"), "{text}");
    Ok(())
}

/// Compiles the sketch as the Arduino IDE would, with the library of the folder that it would choose, and runs it in QEMU.
#[test]
fn the_sketch_says_beats_and_that_the_electrode_is_off() -> Result {
    if !is_there("arm-none-eabi-g++") || !is_there("qemu-system-arm") {
        return Ok(());
    }
    let arduino = package().join("arduino/Heartlens");
    for (abi, folder) in [
        ("hard", "cortex-m4/fpv4-sp-d16-hard"),
        ("softfp", "cortex-m4/fpv4-sp-d16-softfp"),
    ] {
        let core = [
            "-mcpu=cortex-m4",
            "-mthumb",
            "-mfpu=fpv4-sp-d16",
            "-Os",
            "-ffreestanding",
        ];
        let objects = root().join("target/sketch").join(abi);
        let _ = fs::remove_dir_all(&objects);
        fs::create_dir_all(&objects)?;
        let compile = |program: &str, source: &Path, more: &[&str]| {
            let name = source.file_name().unwrap_or_default().to_string_lossy();
            let object = objects.join(format!("{name}.o"));
            run(Command::new(program)
                .current_dir(root())
                .args(core)
                .arg(format!("-mfloat-abi={abi}"))
                .args(["-Wall", "-Wextra", "-Werror", "-c", "-Itests/arduino"])
                .arg("-I")
                .arg(arduino.join("src"))
                .arg(format!("-DSTRETCH=\"{}\"", stretch().display()))
                .args(more)
                .arg(source)
                .arg("-o")
                .arg(&object))?;
            Ok::<_, Box<dyn std::error::Error>>(object)
        };
        let cpp = [
            "-std=gnu++17",
            "-fno-exceptions",
            "-fno-rtti",
            "-include",
            "Arduino.h",
        ];
        let sketch: Vec<&str> = cpp.iter().copied().chain(["-x", "c++"]).collect();
        let parts = [
            compile(
                "arm-none-eabi-g++",
                &arduino.join("examples/AD8232/AD8232.ino"),
                &sketch,
            )?,
            compile(
                "arm-none-eabi-g++",
                Path::new("tests/arduino/board.cpp"),
                &cpp,
            )?,
            compile("arm-none-eabi-gcc", Path::new("tests/qemu/start.c"), &[])?,
            compile("arm-none-eabi-gcc", Path::new("tests/stretch.S"), &[])?,
        ];
        let program = objects.join("sketch.elf");
        run(Command::new("arm-none-eabi-g++")
            .current_dir(root())
            .args(core)
            .arg(format!("-mfloat-abi={abi}"))
            .args(["-nostdlib", "-Wl,--gc-sections", "-Wl,-Ttests/qemu/link.ld"])
            .args(parts)
            .arg("-L")
            .arg(arduino.join("src").join(folder))
            .args(["-lheartlens", "-lgcc", "-o"])
            .arg(&program))?;
        let said = run(super::qemu().arg(&program))?;
        let beats = said
            .lines()
            .filter(|line| line.starts_with("beat "))
            .count();
        let expected = expected()?
            .lines()
            .filter(|line| line.starts_with("kind=01"))
            .count();
        // The same recording at another rate and resolution: the same beats, give or take those at its ends.
        assert!(
            beats.abs_diff(expected) <= 2,
            "{beats} beats, expected {expected}"
        );
        for class in ["beat N, ", "beat V, ", "beat S, "] {
            assert!(said.contains(class), "{class}");
        }
        // HL_SIGNAL_READABLE, and HL_SIGNAL_ELECTRODE_OFF at the end.
        let signals: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("signal "))
            .collect();
        assert_eq!(signals.first(), Some(&"signal 1"), "{signals:?}");
        assert_eq!(signals.last(), Some(&"signal 5"), "{signals:?}");
    }
    Ok(())
}

/// One front end, one gain: that of the firmware's live monitor.
#[test]
fn the_sketch_has_the_gain_of_the_firmware() -> Result {
    let sketch = root().join("arduino/examples/AD8232/AD8232.ino");
    let sketch = std::fs::read_to_string(sketch)?;
    let live = std::fs::read_to_string(root().join("../../firmware/src/live.rs"))?;
    let gain = live
        .split_once("AD8232_GAIN: f32 = ")
        .and_then(|(_, rest)| rest.split_once(';'))
        .ok_or("firmware/src/live.rs has no AD8232_GAIN")?;
    let gain: f32 = gain.0.replace('_', "").parse()?;
    assert!(
        sketch.contains(&format!("COUNTS_PER_MV = {gain:.1}f * 4096 / 3300;")),
        "the sketch has another gain than {gain}"
    );
    Ok(())
}
