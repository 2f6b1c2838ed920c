//! `kmod/uapi/daedalus.h` and `daedalus_uapi::protocol` say the same. A C compiler is asked what the header
//! means here: the size and the fields of each struct, and each constant.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use daedalus_uapi::protocol::*;

/// C expressions and what they must be.
struct Expected(Vec<(String, u64)>);

impl Expected {
    fn says(&mut self, expression: impl Into<String>, value: impl TryInto<u64>) {
        let value = value.try_into().ok().expect("no negative numbers");
        self.0.push((expression.into(), value));
    }
}

/// The size of a struct, and offset and size of each field, in order, which must fill it.
macro_rules! layout {
    ($expected:ident, $c:literal as $rust:ident { $($c_field:ident as $field:ident),+ $(,)? }) => {
        $expected.says(concat!("sizeof(struct ", $c, ")"), size_of::<$rust>());
        let mut filled = 0;
        $(
            let size = {
                let of = |value: &$rust| size_of_val(&value.$field);
                of(&zerocopy::FromZeros::new_zeroed())
            };
            let name = stringify!($c_field);
            $expected.says(format!("offsetof(struct {}, {name})", $c), std::mem::offset_of!($rust, $field));
            $expected.says(format!("sizeof(((struct {} *)0)->{name})", $c), size);
            filled += size;
        )+
        assert_eq!(filled, size_of::<$rust>(), "{} has fields that are not compared", $c);
    };
}

macro_rules! constants {
    ($expected:ident, $($c:ident = $rust:expr),+ $(,)?) => {
        $($expected.says(stringify!($c), $rust);)+
    };
}

fn expected() -> Expected {
    let mut expected = Expected(Vec::new());
    layout!(expected, "daedalus_attach" as Attach {
        version as version,
        codecs as codecs,
        codecs_10bit as codecs_10bit,
        max_width as max_width,
        max_height as max_height,
        message_size as message_size,
        reserved as reserved,
    });
    layout!(expected, "daedalus_message" as Head {
        type as kind,
        size as size,
        session as session,
    });
    layout!(expected, "daedalus_open" as OpenMessage {
        head as head,
        codec as codec,
        uid as uid,
        pid as pid,
        reserved as reserved,
    });
    layout!(expected, "daedalus_forget" as ForgetMessage { head as head, buffer as buffer });
    layout!(expected, "daedalus_decode" as DecodeMessage {
        head as head,
        cookie as cookie,
        timestamp as timestamp,
        buffer as buffer,
        flags as flags,
        pixelformat as pixelformat,
        width as width,
        height as height,
        num_buffers as num_buffers,
        buffer_size as buffer_size,
        pitch as pitch,
        offset as offset,
        num_controls as num_controls,
        data_offset as data_offset,
        data_size as data_size,
        reserved as reserved,
    });
    layout!(expected, "daedalus_control" as ControlHead { id as id, size as size });
    layout!(expected, "daedalus_get_buffer" as GetBuffer {
        session as session,
        cookie as cookie,
        index as index,
        fd as fd,
    });
    layout!(expected, "daedalus_complete" as Complete {
        session as session,
        cookie as cookie,
        status as status,
        reserved as reserved,
    });
    constants!(
        expected,
        DAEDALUS_PROTOCOL_VERSION = VERSION,
        DAEDALUS_CODEC_H264 = CODEC_H264,
        DAEDALUS_CODEC_VP9 = CODEC_VP9,
        DAEDALUS_CODEC_AV1 = CODEC_AV1,
        DAEDALUS_MSG_OPEN = MSG_OPEN,
        DAEDALUS_MSG_CLOSE = MSG_CLOSE,
        DAEDALUS_MSG_FLUSH = MSG_FLUSH,
        DAEDALUS_MSG_FORGET = MSG_FORGET,
        DAEDALUS_MSG_DECODE = MSG_DECODE,
        DAEDALUS_DECODE_HOLD = DECODE_HOLD,
        DAEDALUS_MAX_PLANES = MAX_PLANES,
        DAEDALUS_STATUS_OK = STATUS_OK,
        DAEDALUS_STATUS_DAMAGED = STATUS_DAMAGED,
        DAEDALUS_STATUS_FAILED = STATUS_FAILED,
    );
    let both_ways = "(_IOC_READ | _IOC_WRITE)";
    for (name, number, size, direction) in [
        ("ATTACH", IOC_ATTACH, size_of::<Attach>(), both_ways),
        ("GET_BUFFER", IOC_GET_BUFFER, size_of::<GetBuffer>(), both_ways),
        ("COMPLETE", IOC_COMPLETE, size_of::<Complete>(), "_IOC_WRITE"),
    ] {
        expected.says(format!("_IOC_TYPE(DAEDALUS_IOC_{name})"), IOC_TYPE);
        expected.says(format!("_IOC_NR(DAEDALUS_IOC_{name})"), number);
        expected.says(format!("_IOC_SIZE(DAEDALUS_IOC_{name})"), size);
        expected.says(format!("_IOC_DIR(DAEDALUS_IOC_{name}) == {direction}"), 1);
    }
    expected
}

/// Every macro that the header defines, but for its guard.
fn macros(header: &Path) -> Vec<String> {
    let text = fs::read_to_string(header).unwrap();
    let named =
        text.lines().filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next());
    named.filter(|name| name.starts_with("DAEDALUS_")).map(str::to_owned).collect()
}

#[test]
fn the_header_means_the_same_to_a_c_compiler() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kmod/uapi/daedalus.h");
    let expected = expected().0;
    for name in macros(&header) {
        let compared = expected.iter().any(|(expression, _)| expression.contains(&name));
        assert!(compared, "{name} is not compared");
    }

    let mut source = format!("#include \"{}\"\n", header.display());
    source += "#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n";
    for (expression, _) in &expected {
        source += &format!("\tprintf(\"%llu\\n\", (unsigned long long)({expression}));\n");
    }
    source += "}\n";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, program) = (folder.join("protocol.c"), folder.join("protocol"));
    fs::write(&file, source).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler).arg("-o").arg(&program).arg(&file).status();
    assert!(status.expect("a C compiler").success(), "{} does not compile", file.display());
    let said = Command::new(&program).stderr(Stdio::inherit()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.lines().count(), expected.len());
    for ((expression, value), said) in expected.iter().zip(said.lines()) {
        assert_eq!(said.parse(), Ok(*value), "{expression}");
    }
}
