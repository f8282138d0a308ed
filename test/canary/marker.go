package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// class is what a mark stands for.
type class string

const (
	// ofText is personal data in plain.
	ofText class = "plain"
	// ofWrapped is a data subject's key as the key store has it.
	ofWrapped class = "wrapped"
	// ofKey is that key itself.
	ofKey class = "key"
)

// mark is something that is looked for, in all the forms that it may have.
type mark struct {
	class   class
	subject int
	field   string // where it was put
	forms   []form
}

// form is one way in which a mark may be written.
type form struct {
	name  string
	bytes []byte
}

const (
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	// textLength is that of what is unique in a text: 95 bits.
	textLength = 16
	// photoLength is that of what is in bytes.
	photoLength = 24
	// shortest is that of the shortest form: by its first bytes each is found.
	shortest = 8
)

// randomText returns letters and digits, which no encoding of text changes.
func randomText(r *rand.Rand) string {
	text := make([]byte, textLength)
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}

func randomBytes(r *rand.Rand) []byte {
	data := make([]byte, photoLength)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// textForms are those of a text. What is around it is not known, so base64 has
// three: one for each place that its first byte may have in a group.
func textForms(text string) []form {
	forms := append([]form{{"text", []byte(text)}}, bytesForms([]byte(text))...)
	wide := make([]byte, 0, 2*len(text))
	for _, c := range []byte(text) {
		wide = append(wide, 0, c)
	}
	forms = append(forms, form{"UTF-16, big endian", wide}, form{"UTF-16, little endian", append(wide[1:], 0)})
	for at := 1; at <= pglzGroup; at++ {
		forms = append(forms, inPGLZ(text, at))
	}
	return forms
}

// pglzGroup is how many literal characters stand together in what PostgreSQL compresses
// by itself, behind a byte that is zero for eight of them.
const pglzGroup = 8

// inPGLZ returns what is certain of a text, none of which came before, when a group begins
// at a place of it. Its first and last characters may be abbreviated with what is around it:
// the first is left out, and the last stands in one of eight groups only.
func inPGLZ(text string, at int) form {
	return form{fmt.Sprintf("pglz+%d", at), []byte("\x00" + text[at:at+pglzGroup])}
}

// bytesForms are those of bytes in texts.
func bytesForms(data []byte) []form {
	numbers := make([]string, len(data))
	for i, b := range data {
		numbers[i] = strconv.Itoa(int(b))
	}
	forms := []form{
		{"hex", []byte(hex.EncodeToString(data))},
		{"HEX", []byte(strings.ToUpper(hex.EncodeToString(data)))},
		{"list", []byte(strings.Join(numbers, " "))},
		{"json list", []byte(strings.Join(numbers, ","))},
	}
	for at := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			f := form{fmt.Sprintf("base64+%d", at), inBase64(encoding, data, at)}
			if !slices.ContainsFunc(forms, func(o form) bool { return string(o.bytes) == string(f.bytes) }) {
				forms = append(forms, f)
			}
		}
	}
	return forms
}

// inBase64 returns the characters that stand for data alone, when as many bytes as at
// says stand before it in its group.
func inBase64(encoding *base64.Encoding, data []byte, at int) []byte {
	const bits = 6
	text := encoding.EncodeToString(append(make([]byte, at), data...))
	first := (at*8 + bits - 1) / bits
	last := (at + len(data)) * 8 / bits
	return []byte(text[first:last])
}

// numberForms are those of a number of 18 digits: in decimal, as a floating-point number
// prints it, and as the 8 bytes of a packed or stored one.
func numberForms(n int64) []form {
	mantissa, _, _ := strings.Cut(strconv.FormatFloat(float64(n), 'e', -1, 64), "e")
	const digits = 15
	packed := binary.BigEndian.AppendUint64(nil, uint64(n))
	return append(bytesForms(packed),
		form{"decimal", strconv.AppendInt(nil, n, 10)},
		form{"float", []byte(mantissa[:min(len(mantissa), digits)])},
		form{"big endian", packed},
		form{"little endian", binary.LittleEndian.AppendUint64(nil, uint64(n))},
	)
}

// rawForms are those of bytes, in texts and as they are.
func rawForms(data []byte) []form {
	quoted := strings.Trim(strconv.Quote(string(data)), `"`)
	escaped := strings.Trim(strconv.QuoteToASCII(string(data)), `"`)
	return append(bytesForms(data), form{"raw", data}, form{"quoted", []byte(quoted)}, form{"escaped", []byte(escaped)})
}
