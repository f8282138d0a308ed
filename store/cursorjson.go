package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// jsonCursor is the cursor of JSON. The data are valid JSON.
type jsonCursor struct {
	data []byte
	pos  int
}

func (c *jsonCursor) at() int {
	c.space()
	return c.pos
}

// space goes past what stands between values.
func (c *jsonCursor) space() {
	for c.pos < len(c.data) {
		switch c.data[c.pos] {
		case ' ', '\t', '\r', '\n', ',', ':':
			c.pos++
		default:
			return
		}
	}
}

func (c *jsonCursor) kind() kind {
	switch rest := c.data[c.at():]; rest[0] {
	case '[':
		return kindList
	case '{':
		if bytes.HasPrefix(rest, []byte(sealedStart)) {
			return kindSealed
		}
		return kindMap
	case 'n':
		return kindNil
	}
	return kindOther
}

func (c *jsonCursor) skip() {
	c.space()
	for depth := 0; ; {
		switch c.data[c.pos] {
		case '{', '[':
			depth++
			c.pos++
		case '}', ']':
			depth--
			c.pos++
		case '"':
			c.text()
		default:
			c.literal()
		}
		if depth == 0 {
			return
		}
		c.space()
	}
}

// text goes past a string and returns it with its quotes.
func (c *jsonCursor) text() []byte {
	begin := c.pos
	for c.pos++; c.data[c.pos] != '"'; c.pos++ {
		if c.data[c.pos] == '\\' {
			c.pos++
		}
	}
	c.pos++
	return c.data[begin:c.pos]
}

// literal goes past a number, true, false or null.
func (c *jsonCursor) literal() []byte {
	begin := c.pos
	for ; c.pos < len(c.data); c.pos++ {
		switch c.data[c.pos] {
		case ' ', '\t', '\r', '\n', ',', ':', '{', '}', '[', ']', '"':
			return c.data[begin:c.pos]
		}
	}
	return c.data[begin:]
}

func (c *jsonCursor) envelope() ([]byte, error) {
	begin := c.at()
	inner := c.data[begin+len(sealedStart):]
	end := bytes.IndexByte(inner, '"')
	if end < 0 || !bytes.HasPrefix(inner[end:], []byte(sealedEnd)) {
		return nil, invalidJSON(c.data, begin, "it is not a whole sealed value")
	}
	envelope, err := base64.StdEncoding.Strict().DecodeString(string(inner[:end]))
	if err != nil {
		return nil, invalidJSON(c.data, begin, "a sealed value is not base64")
	}
	c.pos = begin + len(sealedStart) + end + len(sealedEnd)
	return envelope, nil
}

func (c *jsonCursor) enter() box {
	begin := c.at()
	c.pos++
	return box{begin: begin, body: c.pos, isMap: c.data[begin] == '{'}
}

func (c *jsonCursor) next(b *box, e *item) bool {
	*e = item{begin: c.at(), index: b.seen}
	if first := c.data[c.pos]; first == '}' || first == ']' {
		c.pos++
		b.end, b.count = c.pos, b.seen
		return false
	}
	b.seen++
	if b.isMap {
		e.index, e.name = -1, plainText(c.text())
	}
	return true
}

// plainText returns what a quoted string says.
func plainText(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return quoted // which no name is
	}
	return []byte(text)
}

func (c *jsonCursor) scalar() (string, bool) {
	switch first := c.data[c.at()]; {
	case first == '"':
		return string(plainText(c.text())), true
	case first == '-' || '0' <= first && first <= '9':
		text := string(c.literal())
		if isZeroNumber(text) {
			text = ""
		}
		return text, true
	}
	c.skip()
	return "", false
}

func (c *jsonCursor) isZero() bool {
	zero := true
	switch c.data[c.at()] {
	case '[', '{':
		var e item
		for b := c.enter(); c.next(&b, &e); {
			zero = c.isZero() && zero
		}
	case '"':
		text := string(c.text())
		zero = text == `""` || text == `"0001-01-01T00:00:00Z"` || text == `"0"`
	default:
		text := string(c.literal())
		zero = text == "null" || text == "false" || isZeroNumber(text)
	}
	return zero
}

func isZeroNumber(text string) bool {
	for _, c := range text {
		switch c {
		case '0', '-', '.':
		default:
			return false
		}
	}
	return true
}
