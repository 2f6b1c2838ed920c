#!/bin/sh
# Makes docs/picture.png: in user-mode Linux, three players on the kernel's device, and below them what the daemon tells.
#
#   ./x build && ./x uml --module daedalus sh docs/picture.sh
#
# Wants mpv, Xvfb, xterm, fonts-dejavu-core, imagemagick and pngquant on this machine; takes two minutes on an idle machine.
set -eu
build=${1:-target/debug}
work=target/picture
mkdir -p "$work"

# What they play is made here, of the Mandelbrot set, so that nobody else has rights to the picture.
clip() {
    [ -s "$work/$1" ] || ffmpeg -nostdin -v error -y -f lavfi \
        -i "mandelbrot=s=640x360:r=24:maxiter=600:end_pts=480:outer=normalized_iteration_count:$2" \
        -vf hue=s=0.6,format=yuv420p -frames:v 480 -g 48 $3 "$work/$1"
}
clip h264.mkv start_x=-0.1011:start_y=-0.9563:start_scale=0.05:end_scale=0.002 '-c:v libx264 -crf 23'
clip vp9.mkv start_x=-0.743643887:start_y=-0.131825904:start_scale=0.003:end_scale=0.0006 \
    '-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8'
clip av1.mkv start_x=-0.5577:start_y=-0.6368:start_scale=0.05:end_scale=0.008 '-c:v libsvtav1 -preset 10 -crf 35'

mkdir -p /run/daedalusd
export LIBVA_DRIVERS_PATH="$(realpath "$build/va")" LIBVA_DRIVER_NAME=daedalus DAEDALUS_DEVICE=kernel DISPLAY=:1
"$build/daedalusd" &
Xvfb :1 -screen 0 1200x390x24 -nolisten tcp -noreset >/dev/null 2>&1 &
until [ -e /dev/video0 ] && [ -e /tmp/.X11-unix/X1 ]; do sleep 0.2; done

xterm -geometry 119x8+0+225 -b 6 -bw 0 +sb -fa 'DejaVu Sans Mono' -fs 12 -bg '#16181d' -fg '#d8dee9' \
    -e "$build/daedalusctl" top &
left=0
for codec in h264 vp9 av1; do
    mpv --no-config --no-audio --no-osc --no-border --really-quiet --vo=x11 --hwdec=vaapi-copy --hwdec-codecs=all \
        --osd-font-size=44 --osd-msg1='${video-format}  hwdec: ${hwdec-current}' \
        --geometry="400x225+$left+0" "$work/$codec.mkv" &
    left=$((left + 400))
done
sleep 15
import -window root "$work/picture.png"
pngquant --force --output docs/picture.png "$work/picture.png"
