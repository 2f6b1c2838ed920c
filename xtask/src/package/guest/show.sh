# Plays $1 on a compositor without a screen. The render node is not of a GPU: the compositor names it to
# programs as a real one would, and both draw on the processor.
set -u
export LIBGL_ALWAYS_SOFTWARE=1
LD_PRELOAD=/daedalus/render_device.so RENDER_DEVICE=/dev/dri/renderD128 \
    weston --backend=headless --renderer=gl --width=480 --height=270 --idle-time=0 --socket=wayland-guest \
    --log=/tmp/weston.log &
weston=$!
trap 'kill $weston' EXIT
for _ in $(seq 120); do
    [ -e "$XDG_RUNTIME_DIR/wayland-guest" ] && break
    sleep 1
done
export WAYLAND_DISPLAY=wayland-guest
timeout 300 mpv --no-config --no-audio --hwdec=vaapi --hwdec-codecs=all --vd-lavc-software-fallback=no \
    --vo=gpu --gpu-context=wayland --frames=20 --untimed --framedrop=no --msg-level=all=v --input-terminal=no "$1"
status=$?
tail -n 20 /tmp/weston.log
exit $status
