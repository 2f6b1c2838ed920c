//! The driver, and beside it a file of what clients render: where first inputs come from.
//!
//! libva looks for the newest `__vaDriverInit` first, so that it finds the one here, which starts the driver
//! and puts itself before some of its entries.

use std::{
    collections::HashMap,
    ffi::c_void,
    fs::OpenOptions,
    io::Write,
    ptr,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use daedalus_drv_video::codec::Rendered;
use daedalus_fuzz::{
    input::Output,
    pictures::Picture,
    recording::{self, Context},
};
use libva_sys as va;

unsafe extern "C" {
    fn __vaDriverInit_1_0(context: va::VADriverContextP) -> va::VAStatus;
}

const SUCCESS: va::VAStatus = va::VA_STATUS_SUCCESS as va::VAStatus;

#[derive(Default)]
struct State {
    /// The driver's own entries.
    entries: va::VADriverVTable,
    profiles: HashMap<va::VAConfigID, va::VAProfile>,
    contexts: HashMap<va::VAContextID, Context>,
    pictures: HashMap<va::VAContextID, Picture>,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the driver's own entries; all that are asked for are there.
macro_rules! entry {
    ($name:ident) => {{
        let entry = state().entries.$name;
        entry.expect(stringify!($name))
    }};
}

/// libva's way in, as the driver's own.
///
/// # Safety
/// As for the driver's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vaDriverInit_1_1(context: va::VADriverContextP) -> va::VAStatus {
    // SAFETY: the caller's promise.
    let status = unsafe { __vaDriverInit_1_0(context) };
    if status == SUCCESS {
        // SAFETY: the driver has filled in the table of this context.
        let table = unsafe { &mut *(*context).vtable };
        state().entries = *table;
        table.vaCreateConfig = Some(create_config);
        table.vaCreateContext = Some(create_context);
        table.vaBeginPicture = Some(begin_picture);
        table.vaRenderPicture = Some(render_picture);
        table.vaEndPicture = Some(end_picture);
    }
    status
}

unsafe extern "C" fn create_config(
    driver: va::VADriverContextP,
    profile: va::VAProfile,
    entrypoint: va::VAEntrypoint,
    attributes: *mut va::VAConfigAttrib,
    count: i32,
    config: *mut va::VAConfigID,
) -> va::VAStatus {
    // SAFETY: what the caller gave, as it came.
    let status =
        unsafe { entry!(vaCreateConfig)(driver, profile, entrypoint, attributes, count, config) };
    if status == SUCCESS {
        // SAFETY: the driver has written it.
        state().profiles.insert(unsafe { *config }, profile);
    }
    status
}

unsafe extern "C" fn create_context(
    driver: va::VADriverContextP,
    config: va::VAConfigID,
    width: i32,
    height: i32,
    flag: i32,
    targets: *mut va::VASurfaceID,
    count: i32,
    context: *mut va::VAContextID,
) -> va::VAStatus {
    // SAFETY: what the caller gave, as it came.
    let status = unsafe {
        entry!(vaCreateContext)(driver, config, width, height, flag, targets, count, context)
    };
    if status == SUCCESS {
        // SAFETY: the driver has written it.
        let id = unsafe { *context };
        let mut state = state();
        if let Some(profile) = state.profiles.get(&config).copied() {
            let context = Context { id, profile, size: (width as u16, height as u16) };
            state.contexts.insert(id, context);
        }
    }
    status
}

unsafe extern "C" fn begin_picture(
    driver: va::VADriverContextP,
    context: va::VAContextID,
    target: va::VASurfaceID,
) -> va::VAStatus {
    let picture = Picture { commit: false, target, buffers: Vec::new() };
    state().pictures.insert(context, picture);
    // SAFETY: what the caller gave, as it came.
    unsafe { entry!(vaBeginPicture)(driver, context, target) }
}

unsafe extern "C" fn render_picture(
    driver: va::VADriverContextP,
    context: va::VAContextID,
    buffers: *mut va::VABufferID,
    count: i32,
) -> va::VAStatus {
    for index in 0..count {
        // SAFETY: the client says that there are `count`.
        let buffer = unsafe { *buffers.add(index as usize) };
        if let Some(rendered) = content(driver, buffer) {
            if let Some(picture) = state().pictures.get_mut(&context) {
                picture.buffers.push(rendered);
            }
        }
    }
    // SAFETY: what the caller gave, as it came.
    unsafe { entry!(vaRenderPicture)(driver, context, buffers, count) }
}

unsafe extern "C" fn end_picture(
    driver: va::VADriverContextP,
    context: va::VAContextID,
) -> va::VAStatus {
    let mut state = state();
    let picture = state.pictures.remove(&context);
    if let (Some(context), Some(picture)) = (state.contexts.get(&context), picture) {
        let mut output = Output::default();
        recording::write(context, &picture, &mut output);
        let path = std::env::var_os(recording::VARIABLE).unwrap_or_default();
        let added = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(&output.0));
        if let Err(error) = added {
            eprintln!("recorder: {}: {error}", recording::VARIABLE);
        }
    }
    drop(state);
    // SAFETY: what the caller gave, as it came.
    unsafe { entry!(vaEndPicture)(driver, context) }
}

/// What is in a buffer.
fn content(driver: va::VADriverContextP, buffer: va::VABufferID) -> Option<Rendered> {
    let (mut kind, mut size, mut count) = (0, 0, 0);
    let mut address: *mut c_void = ptr::null_mut();
    // SAFETY: the outputs are ours.
    let told = unsafe { entry!(vaBufferInfo)(driver, buffer, &mut kind, &mut size, &mut count) };
    // SAFETY: as above.
    let mapped = unsafe { entry!(vaMapBuffer)(driver, buffer, &mut address) };
    if told != SUCCESS || mapped != SUCCESS {
        return None;
    }
    let (element_size, count) = (size as usize, count as usize);
    // SAFETY: mapped, and as large as the driver says.
    let data = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), element_size * count) };
    let rendered = Rendered { kind, element_size, count, data: data.to_vec() };
    // SAFETY: it was mapped just now.
    unsafe { entry!(vaUnmapBuffer)(driver, buffer) };
    Some(rendered)
}
