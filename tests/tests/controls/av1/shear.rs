//! Whether a warp can be done as two shears, AV1 section 7.11.3.6. (cros-codecs 0.0.6 has a function for
//! it whose products overflow.)

/// warpValid of setupShear, for the parameters of a reference.
pub fn valid(params: &[i32; 6]) -> bool {
    let [_, _, xx, xy, yx, yy] = params.map(i64::from);
    if xx <= 0 {
        return false;
    }
    let within = |value: i64| value.clamp(-(1 << 15), (1 << 15) - 1);
    let (shift, factor) = divisor(xx);
    let divided = |value: i64| round(value * factor, shift);
    let alpha = within(xx - (1 << 16));
    let beta = within(xy);
    let gamma = within(divided(yx << 16));
    let delta = within(yy - divided(xy * yx) - (1 << 16));
    let [alpha, beta, gamma, delta] =
        [alpha, beta, gamma, delta].map(|value| (round(value, 6) << 6).abs());
    4 * alpha + 7 * beta < 1 << 16 && 4 * gamma + 4 * delta < 1 << 16
}

/// Round2Signed().
fn round(value: i64, bits: u32) -> i64 {
    let half = if bits == 0 { 0 } else { 1 << (bits - 1) };
    value.signum() * ((value.abs() + half) >> bits)
}

/// The resolve divisor process (7.11.3.7): divShift and divFactor. Div_Lut[ i ] is 2^22 / (256 + i),
/// rounded.
fn divisor(d: i64) -> (u32, i64) {
    let n = d.abs().ilog2();
    let e = d.abs() - (1 << n);
    let f = if n > 8 { round(e, n - 8) } else { e << (8 - n) };
    let entry = ((1 << 22) + (256 + f) / 2) / (256 + f);
    (n + 14, d.signum() * entry)
}
