# The kernel's own checkers: only the source package has them.
package=$(needs linux-source/trixie-backports | grep '^linux-source-')
unpack "$package"
mkdir /usr/src/linux-style
xz -dc "/usr/src/$package.tar.xz" | tar -x -C /usr/src/linux-style --strip-components=1 --wildcards \
    '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' \
    '*/scripts/kernel-doc*' '*/tools/docs/kernel-doc*' '*/tools/lib/python'
rm "/usr/src/$package.tar.xz"
