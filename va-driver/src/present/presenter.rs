//! Drawing on X11 drawables.

use std::sync::{Mutex, PoisonError};

use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    cookie::VoidCookie,
    errors::{ConnectionError, ReplyError, ReplyOrIdError},
    protocol::xproto::{
        ClipOrdering, ConnectionExt as _, CreateGCAux, Gcontext, ImageFormat, ImageOrder,
        Rectangle, VisualClass,
    },
};

use super::{
    ClientDisplay, Error, Options, Snapshot, colour,
    connection::{Connection, connect},
    scale::Scaler,
};

/// A rectangle of a drawable, in pixels; it may reach beyond the drawable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i16,
    /// Upper edge.
    pub y: i16,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Draws pictures on the drawables of one X server. Connects when the first picture is shown, and again
/// should the connection break.
#[derive(Debug)]
pub struct Presenter {
    client: Option<ClientDisplay>,
    connection: Mutex<Option<Connection>>,
}

/// Pixels are scaled and sent in strips of at most so many bytes, or one row.
const STRIP_BYTES: usize = 4 << 20;

/// Bytes of a PutImage request without its pixels, rounded up.
const PUT_IMAGE_BYTES: usize = 32;

/// What a connection can fail with while drawing.
enum Failure {
    /// The connection is of no use any more.
    Broken(ConnectionError),
    Other(Error),
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        Failure::Broken(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Other(error)
    }
}

impl Presenter {
    /// A presenter for the server that the client's Display is connected to; without one, for
    /// `$DISPLAY`'s.
    pub fn new(client: Option<ClientDisplay>) -> Presenter {
        Presenter { client, connection: Mutex::new(None) }
    }

    /// Draws the snapshot's picture, scaled, on `area` of `drawable` and waits until the server has done
    /// it. What the client asked its own connection for before is done first. `clips` are the parts of the
    /// drawable that may change; none at all means everything (`VA_CLEAR_DRAWABLE` is not clipped).
    ///
    /// Fails if the server cannot be reached, does not know the drawable, or if the drawable has other
    /// pixels than 32 bits of TrueColor (depth 24 or 32).
    pub fn put(
        &self,
        drawable: u32,
        snapshot: &Snapshot,
        area: Area,
        clips: &[Area],
        options: &Options,
    ) -> Result<(), Error> {
        let pixels = colour::bgrx(snapshot, options.colour)?;
        let picture = (snapshot.width, snapshot.height);
        if let Some(client) = &self.client {
            client.synchronise();
        }
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = false;
        loop {
            let open = match connection.take() {
                Some(open) => open,
                None => {
                    fresh = true;
                    connect(self.client.as_ref().and_then(ClientDisplay::name))?
                }
            };
            let canvas = Canvas { connection: &open, drawable };
            let drawn = canvas.size().and_then(|size| {
                let scaler = if area.width == 0 || area.height == 0 {
                    None
                } else {
                    let to = (area.width.into(), area.height.into());
                    Some(Scaler::new(&pixels, picture, snapshot.crop, to, options.filter)?)
                };
                canvas.draw(size, scaler, area, clips, options.clear)
            });
            match drawn {
                Ok(()) => {
                    *connection = Some(open);
                    return Ok(());
                }
                Err(Failure::Other(error)) => {
                    *connection = Some(open);
                    return Err(error);
                }
                Err(Failure::Broken(error)) if fresh => {
                    return Err(Error::Server(error.to_string()));
                }
                Err(Failure::Broken(error)) => {
                    log::warn!("the connection to the X server broke ({error}); connecting again");
                }
            }
        }
    }
}

/// A drawable that is being drawn on.
struct Canvas<'a> {
    connection: &'a Connection,
    drawable: u32,
}

/// Width, height and depth of a drawable.
#[derive(Clone, Copy)]
struct Size {
    width: u16,
    height: u16,
    depth: u8,
}

impl Canvas<'_> {
    fn refused(&self, error: &dyn std::fmt::Debug) -> Failure {
        Failure::Other(Error::Drawable(self.drawable, format!("{error:?}")))
    }

    fn visual(&self, why: &str) -> Failure {
        Failure::Other(Error::Visual(self.drawable, why.to_owned()))
    }

    fn reply<T>(&self, result: Result<T, ReplyError>) -> Result<T, Failure> {
        result.map_err(|error| match error {
            ReplyError::ConnectionError(error) => Failure::Broken(error),
            ReplyError::X11Error(error) => self.refused(&error.error_kind),
        })
    }

    /// Asks for the drawable's size and checks that its pixels are what `draw` sends.
    fn size(&self) -> Result<Size, Failure> {
        // Events that every client gets (MappingNotify) must not pile up.
        while self.connection.poll_for_event()?.is_some() {}
        let geometry = self.connection.get_geometry(self.drawable)?;
        let attributes = self.connection.get_window_attributes(self.drawable)?;
        let geometry = self.reply(geometry.reply())?;
        // A pixmap has no attributes, and no visual: its depth must do.
        let visual = match attributes.reply() {
            Ok(attributes) => Some(attributes.visual),
            Err(ReplyError::X11Error(_)) => None,
            Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
        };
        let setup = self.connection.setup();
        let depth = geometry.depth;
        if !setup.pixmap_formats.iter().any(|f| f.depth == depth && f.bits_per_pixel == 32) {
            return Err(self.visual(&format!("depth {depth}")));
        }
        if setup.image_byte_order != ImageOrder::LSB_FIRST {
            return Err(self.visual("big-endian images"));
        }
        let depths = setup.roots.iter().flat_map(|root| &root.allowed_depths);
        let fits = depths.filter(|d| d.depth == depth).flat_map(|d| &d.visuals).any(|v| {
            visual.is_none_or(|visual| visual == v.visual_id)
                && v.class == VisualClass::TRUE_COLOR
                && (v.red_mask, v.green_mask, v.blue_mask) == (0xff0000, 0xff00, 0xff)
        });
        if !fits {
            return Err(self.visual(&format!("not TrueColor 8-8-8, depth {depth}")));
        }
        Ok(Size { width: geometry.width, height: geometry.height, depth })
    }

    fn draw(
        &self,
        size: Size,
        scaler: Option<Scaler<'_>>,
        area: Area,
        clips: &[Area],
        clear: bool,
    ) -> Result<(), Failure> {
        let gc = self.connection.generate_id().map_err(|error| match error {
            ReplyOrIdError::ConnectionError(error) => Failure::Broken(error),
            other => Failure::Other(Error::Server(other.to_string())),
        })?;
        let settings = CreateGCAux::new().foreground(0).graphics_exposures(0);
        let mut sent = vec![self.connection.create_gc(gc, self.drawable, &settings)?];
        if clear {
            let whole = Area { x: 0, y: 0, width: size.width, height: size.height };
            // Only the border, unless clips may keep the picture from covering the rest.
            let parts = if clips.is_empty() { border(whole, area) } else { vec![whole] };
            let parts: Vec<_> = parts.into_iter().map(rectangle).collect();
            sent.push(self.connection.poly_fill_rectangle(self.drawable, gc, &parts)?);
        }
        if !clips.is_empty() {
            let clips: Vec<_> = clips.iter().copied().map(rectangle).collect();
            sent.push(self.connection.set_clip_rectangles(
                ClipOrdering::UNSORTED,
                gc,
                0,
                0,
                &clips,
            )?);
        }
        let drawn = match scaler {
            Some(scaler) => self.strips(size, scaler, area, gc, &mut sent),
            None => Ok(()),
        };
        sent.push(self.connection.free_gc(gc)?);
        let mut result = drawn;
        for cookie in sent {
            let checked = self.reply(cookie.check());
            result = result.and(checked);
        }
        result
    }

    /// Scales and sends the part of `area` that lies on the drawable.
    fn strips<'c>(
        &'c self,
        size: Size,
        mut scaler: Scaler<'_>,
        area: Area,
        gc: Gcontext,
        sent: &mut Vec<VoidCookie<'c, Connection>>,
    ) -> Result<(), Failure> {
        let (columns, rows) =
            (visible(area.x, area.width, size.width), visible(area.y, area.height, size.height));
        let (Some((left, width)), Some((top, height))) = (columns, rows) else {
            return Ok(());
        };
        let row_bytes = usize::from(width) * 4;
        let largest = self.connection.maximum_request_bytes().saturating_sub(PUT_IMAGE_BYTES);
        if largest < row_bytes {
            return Err(self.visual("a row of pixels does not fit into a request"));
        }
        let at_once = (largest.min(STRIP_BYTES) / row_bytes).clamp(1, usize::from(u16::MAX)) as u16;
        let mut row = 0;
        while row < height {
            let count = at_once.min(height - row);
            let y = u32::from(top) + u32::from(row);
            let pixels = scaler.part(left.into(), y, width.into(), count.into())?;
            // Both lie on the drawable, whose sides fit into 15 bits where coordinates must reach them.
            let (x, y) = (i32::from(area.x) + i32::from(left), i32::from(area.y) + y as i32);
            let (Ok(x), Ok(y)) = (i16::try_from(x), i16::try_from(y)) else {
                return Ok(());
            };
            sent.push(self.connection.put_image(
                ImageFormat::Z_PIXMAP,
                self.drawable,
                gc,
                width,
                count,
                x,
                y,
                0,
                size.depth,
                &pixels,
            )?);
            row += count;
        }
        Ok(())
    }
}

/// The part of `length` pixels from `start` on that lies in 0..`whole`: how many are cut off before it, and
/// how many it has. `None` if nothing is left.
fn visible(start: i16, length: u16, whole: u16) -> Option<(u16, u16)> {
    let (start, length, whole) = (i32::from(start), i32::from(length), i32::from(whole));
    let first = start.max(0);
    let end = (start + length).min(whole);
    if first >= end {
        return None;
    }
    Some(((first - start) as u16, (end - first) as u16))
}

/// `whole`, which starts at 0, 0, without `hole`: above, below, left and right of it.
fn border(whole: Area, hole: Area) -> Vec<Area> {
    let columns = visible(hole.x, hole.width, whole.width);
    let rows = visible(hole.y, hole.height, whole.height);
    let (Some((_, width)), Some((_, height))) = (columns, rows) else {
        return vec![whole];
    };
    let (left, top) = (hole.x.max(0), hole.y.max(0));
    let (right, bottom) = (left as u16 + width, top as u16 + height);
    let parts = [
        Area { x: 0, y: 0, width: whole.width, height: top as u16 },
        Area { x: 0, y: bottom as i16, width: whole.width, height: whole.height - bottom },
        Area { x: 0, y: top, width: left as u16, height },
        Area { x: right as i16, y: top, width: whole.width - right, height },
    ];
    parts.into_iter().filter(|part| part.width > 0 && part.height > 0).collect()
}

fn rectangle(area: Area) -> Rectangle {
    Rectangle { x: area.x, y: area.y, width: area.width, height: area.height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: i16, y: i16, width: u16, height: u16) -> Area {
        Area { x, y, width, height }
    }

    #[test]
    fn only_what_lies_on_the_drawable_is_visible() {
        assert_eq!(visible(0, 10, 10), Some((0, 10)));
        assert_eq!(visible(-3, 10, 10), Some((3, 7)));
        assert_eq!(visible(8, 10, 10), Some((0, 2)));
        assert_eq!(visible(-5, 65535, 10), Some((5, 10)));
        assert_eq!(visible(10, 1, 10), None);
        assert_eq!(visible(-4, 4, 10), None);
        assert_eq!(visible(i16::MIN, u16::MAX, u16::MAX), Some((32768, 32767)));
    }

    #[test]
    fn the_border_and_the_picture_cover_every_pixel_once() {
        let whole = area(0, 0, 9, 7);
        for (x, y) in (-4..11).flat_map(|x| (-4..9).map(move |y| (x, y))) {
            let picture = area(x, y, 3, 4);
            let mut parts = border(whole, picture);
            parts.push(picture);
            for (x, y) in (0..9).flat_map(|x| (0..7).map(move |y| (x, y))) {
                let covers = parts.iter().filter(|p| {
                    (p.x..p.x + p.width as i16).contains(&x)
                        && (p.y..p.y + p.height as i16).contains(&y)
                });
                assert_eq!(covers.count(), 1, "{picture:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        assert!(matches!(connect(Some(":4097")), Err(Error::Server(_))));
        assert!(matches!(connect(Some("no display")), Err(Error::Server(_))));
    }
}
