package store

import "encoding/binary"

// sized reads a value whose first byte c only tells what follows.
func (w *msgpackWalk) sized(isKey bool, c byte) error {
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return w.scalar(isKey, 0)
	case 0xca: // float 32
		return w.scalar(isKey, 4)
	case 0xcb: // float 64
		return w.scalar(isKey, 8)
	case 0xcc, 0xcd, 0xce, 0xcf: // unsigned integers
		n, err := w.number(1 << (c - 0xcc))
		if err != nil {
			return err
		}
		return w.integer(isKey, n, false)
	case 0xd0, 0xd1, 0xd2, 0xd3: // signed integers
		n, err := w.signed(1 << (c - 0xd0))
		if err != nil {
			return err
		}
		return w.integer(isKey, uint64(n), n < 0)
	case 0xd6: // fixext 4
		return w.timestamp(isKey, 4)
	case 0xd7: // fixext 8
		return w.timestamp(isKey, 8)
	}
	return w.counted(isKey, c)
}

// counted reads a value that begins with its length.
func (w *msgpackWalk) counted(isKey bool, c byte) error {
	var width int
	switch c {
	case 0xc4, 0xd9, 0xc7:
		width = 1
	case 0xc5, 0xda, 0xdc, 0xde, 0xc8:
		width = 2
	case 0xc6, 0xdb, 0xdd, 0xdf, 0xc9:
		width = 4
	default:
		return w.invalid(w.pos-1, "a code or an extension that is not allowed")
	}
	n, err := w.number(width)
	if err != nil {
		return err
	}
	if n > uint64(len(w.data)-w.pos) {
		return w.invalid(w.pos, "it declares more than there is")
	}
	switch c {
	case 0xc4, 0xc5, 0xc6:
		return w.bytes(isKey, int(n))
	case 0xd9, 0xda, 0xdb:
		return w.text(isKey, int(n))
	case 0xdc, 0xdd:
		return w.begin(isKey, int(n), false)
	case 0xde, 0xdf:
		return w.begin(isKey, int(n), true)
	}
	return w.extension(isKey, c, int(n))
}

// extension reads a timestamp or, where there may be one, a sealed value.
func (w *msgpackWalk) extension(isKey bool, c byte, n int) error {
	switch {
	case w.pos < len(w.data) && w.data[w.pos] == sealedExtension:
		if !w.sealed {
			return w.invalid(w.pos, "it is a sealed value, which only a log with its key can open")
		}
		w.pos++
		return w.scalar(isKey, n)
	case c != 0xc7:
		return w.invalid(w.pos, "a code or an extension that is not allowed")
	}
	return w.timestamp(isKey, n)
}

// timestamp reads the extension type and n bytes of a timestamp.
func (w *msgpackWalk) timestamp(isKey bool, n int) error {
	const extension = 0xff // -1
	if n != 4 && n != 8 && n != 12 || n >= len(w.data)-w.pos || w.data[w.pos] != extension {
		return w.invalid(w.pos, "an extension that is not a whole timestamp")
	}
	b := w.data[w.pos+1 : w.pos+1+n]
	var nanoseconds uint64
	switch n {
	case 8:
		nanoseconds = binary.BigEndian.Uint64(b) >> 34
	case 12:
		nanoseconds = uint64(binary.BigEndian.Uint32(b))
	}
	if nanoseconds >= 1e9 {
		return w.invalid(w.pos, "a timestamp has more than 999,999,999 nanoseconds")
	}
	w.pos++
	return w.scalar(isKey, n)
}

// number reads a big-endian unsigned integer of width 1, 2, 4 or 8.
func (w *msgpackWalk) number(width int) (uint64, error) {
	if width > len(w.data)-w.pos {
		return 0, w.invalid(w.pos, "it ends early")
	}
	b := w.data[w.pos : w.pos+width]
	w.pos += width
	switch width {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

func (w *msgpackWalk) signed(width int) (int64, error) {
	n, err := w.number(width)
	shift := 64 - 8*width
	return int64(n<<shift) >> shift, err
}
