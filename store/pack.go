package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// What the log and the snapshot store hold is written and read by hand rather
// than through the msgpack codec: five times as fast, and every length that is
// read is checked against the bytes that are there, so these bytes need no
// guard. A packed value is one msgpack array. Its last element is a CRC-32C of
// all before it: the hash chain tells that a commit was changed only when its
// successor is read.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumBytes is the length of the packed check sum.
const sumBytes = 5

func appendSum(b []byte) []byte {
	sum := crc32.Checksum(b, castagnoli)
	return binary.BigEndian.AppendUint32(append(b, 0xce), sum)
}

// cutSum returns packed bytes without their check sum if it is right.
func cutSum(b []byte) ([]byte, bool) {
	if len(b) < sumBytes {
		return nil, false
	}
	body, sum := b[:len(b)-sumBytes], b[len(b)-sumBytes:]
	return body, sum[0] == 0xce && binary.BigEndian.Uint32(sum[1:]) == crc32.Checksum(body, castagnoli)
}

// The layouts that this build knows: a number that stands first. Each has a
// field more than the one before. A new one is used only for what the older
// ones cannot hold, so the bytes of everything else never change: what was
// written without a lease is laid out as before there were leases. A build that
// does not know a layout refuses it. Snapshots have the first two.
const (
	formatPlain  = 1
	formatLeased = 2 // an epoch, which is not 0
	formatKept   = 3 // an epoch, and what a command may have besides: see keeps
)

func formatOf(epoch uint64) int {
	if epoch == 0 {
		return formatPlain
	}
	return formatLeased
}

// appendFormat begins an array of as many elements as the plain layout has, or
// as many more as the format has.
func appendFormat(b []byte, fields, format int) []byte {
	b = appendArray(b, fields+format-formatPlain)
	return appendUint(b, uint64(format))
}

func appendEpoch(b []byte, format int, epoch uint64) []byte {
	if format == formatPlain {
		return b
	}
	return appendUint(b, epoch)
}

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n <= 0x7f:
		return append(b, byte(n))
	case n <= math.MaxUint8:
		return append(b, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), n)
}

func appendInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
}

func appendArray(b []byte, n int) []byte {
	if n <= 15 {
		return append(b, 0x90|byte(n))
	}
	return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n))
}

func appendText(b []byte, s string) []byte {
	switch n := len(s); {
	case n <= 31:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	}
	return append(b, s...)
}

func appendBytes(b, data []byte) []byte {
	switch n := len(data); {
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, data...)
}

var errPacked = errors.New("it is not laid out as it should be")

// unpacker reads packed bytes. After the first thing that is not as expected it
// returns zero values only, and err says so.
type unpacker struct {
	data []byte
	pos  int
	err  error
	// text is what texts are cut from: the bytes from textStart on, turned into
	// one string at once instead of one allocation for each text.
	text      string
	textStart int
}

// beginTexts must come before the first call of string. What follows should
// hold little but texts.
func (u *unpacker) beginTexts() {
	u.text, u.textStart = string(u.data[u.pos:]), u.pos
}

// finish returns the error, or that there are bytes left.
func (u *unpacker) finish() error {
	if u.err == nil && u.pos != len(u.data) {
		u.fail()
	}
	return u.err
}

func (u *unpacker) fail() {
	u.err, u.pos = errPacked, len(u.data)
}

// take returns the next n bytes.
func (u *unpacker) take(n int) []byte {
	if n < 0 || n > len(u.data)-u.pos {
		u.fail()
		return nil
	}
	b := u.data[u.pos : u.pos+n : u.pos+n]
	u.pos += n
	return b
}

func (u *unpacker) code() byte {
	if b := u.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (u *unpacker) fixed(width int) uint64 {
	b := u.take(width)
	if b == nil {
		return 0
	}
	var n uint64
	for _, digit := range b {
		n = n<<8 | uint64(digit)
	}
	return n
}

func (u *unpacker) uint() uint64 {
	switch c := u.code(); {
	case c <= 0x7f:
		return uint64(c)
	case c >= 0xcc && c <= 0xcf:
		return u.fixed(1 << (c - 0xcc))
	}
	u.fail()
	return 0
}

// int reads an unsigned integer up to most.
func (u *unpacker) int(most int) int {
	n := u.uint()
	if n > uint64(most) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *unpacker) int64() int64 {
	if u.code() != 0xd3 {
		u.fail()
	}
	return int64(u.fixed(8))
}

// array reads the length of an array, at most most and no more than there can
// be elements in the bytes that are left.
func (u *unpacker) array(most int) int {
	var n uint64
	switch c := u.code(); {
	case c&0xf0 == 0x90:
		n = uint64(c & 0x0f)
	case c == 0xdc:
		n = u.fixed(2)
	default:
		u.fail()
	}
	if n > uint64(min(most, len(u.data)-u.pos)) {
		u.fail()
		return 0
	}
	return int(n)
}

// fields reads the length of an array that has exactly n elements.
func (u *unpacker) fields(n int) {
	if u.array(n) != n {
		u.fail()
	}
}

// format reads what appendFormat wrote, up to the newest format that there is
// of what is read.
func (u *unpacker) format(fields, newest int) (format int, err error) {
	n, number := u.array(math.MaxUint8), u.uint()
	if u.err == nil && (number < formatPlain || number > uint64(newest)) {
		return 0, errFormat
	}
	format = int(number)
	if n != fields+format-formatPlain {
		u.fail()
	}
	return format, u.err
}

// epoch reads what appendEpoch wrote. There is one way to write none.
func (u *unpacker) epoch(format int) uint64 {
	if format == formatPlain {
		return 0
	}
	epoch := u.uint()
	if epoch == 0 && format == formatLeased {
		u.fail()
	}
	return epoch
}

func (u *unpacker) string() string {
	var n uint64
	switch c := u.code(); {
	case c&0xe0 == 0xa0:
		n = uint64(c & 0x1f)
	case c == 0xd9:
		n = u.fixed(1)
	case c == 0xda:
		n = u.fixed(2)
	default:
		u.fail()
	}
	start := u.pos
	if u.take(int(n)) == nil {
		return ""
	}
	return u.text[start-u.textStart : u.pos-u.textStart]
}

// bytes reads bytes; they alias the packed ones.
func (u *unpacker) bytes() []byte {
	var width int
	switch c := u.code(); c {
	case 0xc4, 0xc5, 0xc6:
		width = 1 << (c - 0xc4)
	default:
		u.fail()
	}
	return u.take(int(u.fixed(width)))
}

// exactly fills b, which must be as long as the bytes that come.
func (u *unpacker) exactly(b []byte) {
	data := u.bytes()
	if len(data) != len(b) {
		u.fail()
		return
	}
	copy(b, data)
}
