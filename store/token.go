package store

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of ids, in bytes: of an id as it is given and as a token.
const (
	MaxIDBytes    = 128
	MaxTokenBytes = 200
)

// tokenEscape begins the escape of one byte. It is the one character, beside
// the separators, that keys of NATS KV allow and that ids do not keep.
const tokenEscape = '='

const upperHex = "0123456789ABCDEF"

// unseen are the characters that no id may have, for two ids that look the
// same would be two streams: control characters, soft hyphen, direction marks,
// zero-width characters, line and paragraph separators, annotation marks and
// tags. The table is frozen here rather than taken from package unicode: an id
// that was accepted once must be accepted by every later build.
var unseen = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1},
		{Lo: 0x007f, Hi: 0x009f, Stride: 1},
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1},
		{Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x180e, Hi: 0x180e, Stride: 1},
		{Lo: 0x200b, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202e, Stride: 1},
		{Lo: 0x2060, Hi: 0x206f, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
		{Lo: 0xfff9, Hi: 0xfffb, Stride: 1},
	},
	R32:         []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}},
	LatinOffset: 3,
}

// EncodeToken turns an aggregate id, or the key of a document, into a token of
// the characters [A-Za-z0-9_=-], at most [MaxTokenBytes] long: one token of a
// NATS subject, and a key of a KV bucket. Different ids give different tokens.
// Letters and digits of ASCII, hyphen and underscore stand for themselves,
// every other byte becomes =XX.
//
// An id is 1 to [MaxIDBytes] bytes of UTF-8 in normal form C, without
// characters that cannot be seen (control characters, direction marks,
// zero-width characters). Spaces, dots, slashes and wildcards are characters
// like any other. Errors: [*InvalidError], [*TooLargeError].
func EncodeToken(id string) (string, error) {
	size, err := tokenSize(id)
	if err != nil {
		return "", err
	}
	if size == len(id) {
		return id, nil
	}
	return escapeToken(make([]byte, 0, size), id), nil
}

// tokenSize returns the length of id's token, or why it has none.
func tokenSize(id string) (int, error) {
	if id == "" {
		return 0, &InvalidError{What: "id", Value: id, Reason: "it is empty"}
	}
	if len(id) > MaxIDBytes {
		return 0, &TooLargeError{What: "id", Size: len(id), Limit: MaxIDBytes}
	}
	escapes := countEscapes(id)
	if escapes == 0 {
		return len(id), nil
	}
	if err := validateID(id); err != nil {
		return 0, err
	}
	size := len(id) + 2*escapes
	if size > MaxTokenBytes {
		return 0, &TooLargeError{What: "encoded id", Size: size, Limit: MaxTokenBytes}
	}
	return size, nil
}

// validateID refuses what must not become an id, however it is escaped.
func validateID(id string) error {
	for i, r := range id {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(id[i:]); size == 1 {
				return &InvalidError{What: "id", Value: id, Reason: "it is not UTF-8"}
			}
		}
		if unicode.Is(unseen, r) {
			return &InvalidError{What: "id", Value: id, Reason: fmt.Sprintf("the character %U cannot be seen", r)}
		}
	}
	if !norm.NFC.IsNormalString(id) {
		return &InvalidError{What: "id", Value: id, Reason: "it is not in Unicode normal form C"}
	}
	return nil
}

func countEscapes(id string) int {
	n := 0
	for i := range len(id) {
		if !plainTokenByte(id[i]) {
			n++
		}
	}
	return n
}

func escapeToken(dst []byte, id string) string {
	for i := range len(id) {
		b := id[i]
		if plainTokenByte(b) {
			dst = append(dst, b)
			continue
		}
		dst = append(dst, tokenEscape, upperHex[b>>4], upperHex[b&15])
	}
	return string(dst)
}

func plainTokenByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
}

// DecodeToken returns the id that [EncodeToken] made the token of. It refuses
// everything that EncodeToken would not have returned, so that an id has one
// token only. Errors: [*InvalidError], [*TooLargeError].
func DecodeToken(token string) (string, error) {
	if len(token) > MaxTokenBytes {
		return "", &TooLargeError{What: "encoded id", Size: len(token), Limit: MaxTokenBytes}
	}
	id, err := unescapeToken(token)
	if err != nil {
		return "", err
	}
	again, err := EncodeToken(id)
	if err != nil {
		return "", err
	}
	if again != token {
		return "", &InvalidError{What: "encoded id", Value: token, Reason: "it escapes what needs no escape"}
	}
	return id, nil
}

func unescapeToken(token string) (string, error) {
	if countEscapes(token) == 0 {
		return token, nil
	}
	id := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		b := token[i]
		switch {
		case plainTokenByte(b):
			id = append(id, b)
		case b == tokenEscape && i+2 < len(token) && isUpperHex(token[i+1]) && isUpperHex(token[i+2]):
			id = append(id, fromHex(token[i+1])<<4|fromHex(token[i+2]))
			i += 2
		default:
			return "", &InvalidError{What: "encoded id", Value: token, Reason: "it has a character or an escape that no encoded id has"}
		}
	}
	return string(id), nil
}

func isUpperHex(b byte) bool { return b >= '0' && b <= '9' || b >= 'A' && b <= 'F' }

func fromHex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b - 'A' + 10
}
