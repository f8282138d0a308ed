package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Limits of what a path repeats of the data: longer names and paths are cut, and told
// apart by a hash, so that all paths together stay small beside the data.
const (
	maxNameInPath = 64
	maxPath       = 256
)

// path names a place in a value: "applicant.phones[1].number". A name that has other
// characters than letters, digits, underscores and hyphens is quoted in brackets.
// Different places in a value have different paths.
type path []byte

func (p path) to(e *item) path {
	switch {
	case e.index >= 0:
		return append(strconv.AppendInt(append(p, '['), int64(e.index), 10), ']')
	case len(e.name) > maxNameInPath || len(e.bytes) > maxNameInPath:
		return p.toLong(e.name, e.bytes)
	case e.bytes != nil:
		return append(hex.AppendEncode(append(p, '[', 'x'), e.bytes), ']')
	case e.name == nil:
		return append(append(append(p, '['), e.number...), ']')
	case !isPlainName(e.name):
		return append(strconv.AppendQuote(append(p, '['), string(e.name)), ']')
	case len(p) > 0:
		p = append(p, '.')
	}
	return append(p, e.name...)
}

// toLong is to for a key that is too long to be repeated: text, or else bytes.
func (p path) toLong(name, bytes []byte) path {
	p = append(p, '[')
	if name == nil {
		return append(cutOff(append(p, 'x'), bytes), ']')
	}
	p = strconv.AppendQuote(p, headOf(name, maxNameInPath/2))
	return append(cutOff(p, name), ']')
}

// String is the path as spans have it.
func (p path) String() string {
	if len(p) <= maxPath {
		return string(p)
	}
	return string(cutOff(path(headOf(p, maxPath/2)), p))
}

// cutOff ends a path that lacks something of whole.
func cutOff(p path, whole []byte) path {
	sum := sha256.Sum256(whole)
	return hex.AppendEncode(append(p, "…"...), sum[:16])
}

// headOf returns how text begins, without a part of a character.
func headOf(text []byte, n int) string { return strings.ToValidUTF8(string(text[:n]), "") }

func isPlainName(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(name) > 0
}
