//! Each rule, on a tree that breaks it and on one that does not.

use super::source::{self, Function};
use super::{File, Tree, findings, papers, sizes, walls, words};

fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
    Tree { files: files.iter().map(file).collect() }
}

/// What a rule says about one file, sentence by sentence.
fn says(rule: fn(&Tree) -> Vec<super::Finding>, path: &str, text: &str) -> Vec<String> {
    rule(&tree(&[(path, text)])).iter().map(ToString::to_string).collect()
}

#[test]
fn the_abi_imports_nothing_but_an_optional_aya() {
    let check = |text| says(walls::check, "probes-ebpf/abi/Cargo.toml", text);
    assert!(check("[dependencies]\naya = { version = \"1\", optional = true }").is_empty());
    assert_eq!(
        check("[dependencies]\naya = \"1\"\nlibc = \"1\""),
        [
            "probes-ebpf/abi/Cargo.toml: the abi never imports aya, unless it is an optional aya",
            "probes-ebpf/abi/Cargo.toml: the abi never imports libc, unless it is an optional aya",
        ]
    );
}

#[test]
fn the_probes_import_nothing_of_ours_but_the_abi() {
    let check = |text| says(walls::check, "probes-ebpf/Cargo.toml", text);
    assert!(check("[dependencies]\naya-ebpf = \"1\"\ncronx-abi = { path = \"abi\" }").is_empty());
    let broken = check("[dependencies]\ncronx-recording = { path = \"../recording\" }");
    assert_eq!(broken, ["probes-ebpf/Cargo.toml: probes-ebpf never imports cronx-recording"]);
}

#[test]
fn the_stages_import_only_what_stands_before_them() {
    let check = |room: &str, ours: &str| {
        let path = format!("{room}/Cargo.toml");
        says(walls::check, &path, &format!("[dependencies]\n{ours}.workspace = true"))
    };
    assert!(check("blame", "cronx-recording").is_empty());
    assert_eq!(check("flamegraph", "cronx-blame").len(), 1);
    assert_eq!(check("blame/sim", "cronx-blame").len(), 1);
    assert_eq!(check("blame", "cronx-sim").len(), 1);
    assert_eq!(check("collector", "cronx-blame").len(), 1);
    assert_eq!(check("recording", "cronx-collector").len(), 1);
    assert_eq!(check("scheduler", "cronx-recording").len(), 1);
    assert_eq!(check("blame", "cronx-scheduler").len(), 1);
}

#[test]
fn a_pure_room_imports_no_effect() {
    let check = |room: &str| {
        says(walls::check, &format!("{room}/Cargo.toml"), "[dependencies]\ntokio = \"1\"")
    };
    assert_eq!(check("blame"), ["blame/Cargo.toml: blame is pure, and never imports tokio"]);
    assert!(check("collector").is_empty());
}

#[test]
fn a_test_may_import_what_the_crate_may_not() {
    let text = "[dev-dependencies]\ncronx-blame.workspace = true";
    assert!(says(walls::check, "flamegraph/Cargo.toml", text).is_empty());
}

#[test]
fn a_renamed_or_targeted_dependency_is_seen() {
    let renamed = "[dependencies]\nbpf = { package = \"aya\", version = \"1\" }";
    let targeted = "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"";
    for text in [renamed, targeted] {
        assert_eq!(says(walls::check, "blame/Cargo.toml", text).len(), 1, "{text}");
    }
}

#[test]
fn aya_stands_in_the_collector_and_anyhow_at_the_rim() {
    let check = |path, text| says(walls::check, path, text);
    assert!(check("collector/Cargo.toml", "[dependencies]\naya = \"1\"").is_empty());
    assert!(check("Cargo.toml", "[dependencies]\nanyhow = \"1\"").is_empty());
    assert_eq!(
        check("recording/Cargo.toml", "[dependencies]\nanyhow = \"1\""),
        ["recording/Cargo.toml: anyhow stands in the command, daemon, xtask, tests/score alone"]
    );
    assert_eq!(check("Cargo.toml", "[dependencies]\naya = \"1\"").len(), 1);
    assert_eq!(check("Cargo.toml", "[workspace.dependencies]\naya = \"1\"").len(), 0);
}

#[test]
fn a_pure_room_has_no_effect() {
    let check = |text| says(words::check, "blame/src/lib.rs", text);
    for effect in [
        "use std::fs::File;",
        "use tokio::time;",
        "let t = std::time::Instant::now();",
        "fn f(t: SystemTime) {}",
        "std::thread::sleep(d)",
        "use aya::Ebpf;",
    ] {
        assert!(!check(effect).is_empty(), "{effect}");
    }
    assert!(check("struct Instant(u64); // not std::fs, not \"tokio\"").is_empty());
    assert!(check("#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
    assert!(says(words::check, "collector/src/lib.rs", "use std::fs::File;").is_empty());
    assert!(says(words::check, "blame/src/tile/tests.rs", "use std::fs::File;").is_empty());
}

#[test]
fn a_module_built_for_tests_alone_is_no_production() {
    let effect = "use std::fs;";
    let lib = "#[cfg(test)]\nmod properties;\nmod tile;";
    let tile = "#[cfg(test)]\npub(crate) mod text;";
    let tree = tree(&[
        ("blame/src/lib.rs", lib),
        ("blame/src/tile.rs", tile),
        ("blame/src/properties.rs", effect),
        ("blame/src/properties/seeds.rs", effect),
        ("blame/src/tile/text.rs", effect),
        ("blame/src/text.rs", effect),
    ]);
    let paths: Vec<_> = words::check(&tree).into_iter().map(|found| found.path).collect();
    assert_eq!(paths, ["blame/src/text.rs"]);
}

#[test]
fn only_the_command_and_xtask_print_or_exit() {
    let check = |path| says(words::check, path, "fn f() {\n    println!();\n}");
    assert_eq!(
        check("collector/src/drain.rs"),
        ["collector/src/drain.rs:2: `println!` is for the command and xtask alone"]
    );
    for path in ["src/main.rs", "xtask/src/ci.rs", "tests/live.rs", "tests/actors/src/main.rs"] {
        assert!(check(path).is_empty(), "{path}");
    }
    assert_eq!(says(words::check, "collector/src/a.rs", "std::process::exit(1)").len(), 1);
    assert!(says(words::check, "collector/src/a.rs", "reprintln!()").is_empty());
}

#[test]
fn a_path_of_a_machine_or_a_promise_is_nowhere() {
    for word in words_nowhere() {
        assert_eq!(says(words::check, "README.md", &word).len(), 1, "{word}");
        assert!(says(words::check, "Cargo.lock", &word).is_empty());
        assert!(says(words::check, "docs/picture.svg", &word).is_empty());
    }
    assert!(says(words::check, "README.md", "the root/ of it").is_empty());
}

fn words_nowhere() -> [String; 3] {
    [["see /roo", "t/x"], ["// TO", "DO: more"], ["FIX", "ME"]].map(|halves| halves.concat())
}

#[test]
fn a_function_ends_at_its_brace() {
    let text = "fn one() {\n    \"}\";\n    '}';\n}\n\ntype F = fn(u8);\ntrait T { fn two(); }\n\
                fn three<'a>(x: [u8; 2]) -> &'a str {\n    // }\n    r#\"\"}\"#\n}\n";
    let function = |name: &str, line, lines| Function { name: name.into(), line, lines };
    assert_eq!(source::functions(text), [function("one", 1, 4), function("three", 8, 4)]);
}

#[test]
fn blanking_keeps_code_and_lines() {
    let blank = |text| source::code(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(blank("a /* x /* y */ z */ b // c"), "a b");
    assert_eq!(blank("f(\"\\\"\", b\"x\", '\\'', '\u{e9}', 'l')"), "f( , b , , , )");
    assert_eq!(blank("br#\"x\"# y; for_r\"z\""), "b y; for_r");
    assert_eq!(blank("impl<'a> F<'a> for &'a T {}"), "impl<'a> F<'a> for &'a T {}");
    assert_eq!(source::code("\"a\nb\"\nc").matches('\n').count(), 2);
    assert_eq!(blank("\"never closed"), "");
}

#[test]
fn a_long_function_is_named() {
    let text = format!("fn f() {{{}}}", "\n".repeat(70));
    let over = says(sizes::check, "src/a.rs", &text);
    assert_eq!(over, ["src/a.rs:1: `src/a.rs::f` has 71 lines, and 70 are the most"]);
    assert!(says(sizes::check, "src/a.rs", &text[1..]).is_empty());
}

#[test]
fn a_long_file_is_named_and_may_be_allowed_for_a_while() {
    let long = "\n".repeat(601);
    let check = |list: &str| {
        let tree = tree(&[("src/a.rs", &long), ("xtask/tidy-allow.txt", list)]);
        sizes::check(&tree).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(check(""), ["src/a.rs: `src/a.rs` has 601 lines, and 600 are the most"]);
    assert!(check("# why\nsrc/a.rs 601\n").is_empty());
    let shrinks = "xtask/tidy-allow.txt: the list only shrinks: lower or remove `src/a.rs`";
    assert_eq!(check("src/a.rs 602"), [shrinks]);
}

#[test]
fn a_crate_says_what_it_is() {
    assert!(
        says(papers::check, "blame/src/lib.rs", "fn f() {}").contains(
            &"blame/src/lib.rs:1: a crate begins with `//!`: what it is, what not".into()
        )
    );
}

#[test]
fn the_map_shows_every_room() {
    let check = |map: &str| {
        let tree = tree(&[
            ("ARCHITECTURE.md", map),
            ("tests/actors/Cargo.toml", ""),
            (".ci/run", ""),
            ("deny.toml", ""),
        ]);
        papers::check(&tree).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(check("tests/\n  actors/").is_empty());
    assert_eq!(check("my-tests/ actors/"), ["ARCHITECTURE.md: does not show `tests/`"]);
    assert_eq!(check(&"tests/ actors/\n".repeat(150)).len(), 1);
}

#[test]
fn findings_come_in_order_of_place() {
    let text = "fn f() {\n    println!();\n}";
    let files =
        [("collector/b.rs", text), ("collector/a.rs", text), ("ARCHITECTURE.md", "collector/")];
    let places: Vec<_> = findings(&tree(&files)).into_iter().map(|found| found.path).collect();
    assert_eq!(places, ["collector/a.rs", "collector/b.rs"]);
}
