package store

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// guardJSON reports whether data may be handed to the decoder: text in UTF-8,
// nested at most [MaxDepth] deep, of at most [MaxNodes] values, no object of
// which has a name twice. The grammar it leaves to the decoder. The errors are
// those of [GuardMsgPack].
func guardJSON(data []byte) error {
	if !utf8.Valid(data) {
		return invalidJSON(data, 0, "it is not UTF-8")
	}
	w := jsonWalk{data: data, most: MaxNodes, deepest: MaxDepth}
	return w.walk()
}

// jsonWalk counts and compares. It takes any bytes, JSON or not.
type jsonWalk struct {
	data    []byte
	most    int // values that there may be
	deepest int // at most MaxDepth
	pos     int
	nodes   int
	depth   int
	open    [MaxDepth]jsonContainer
	keys    keyStack
}

type jsonContainer struct {
	firstKey int
	isObject bool
	wantsKey bool
}

func (w *jsonWalk) walk() error {
	for w.pos < len(w.data) {
		var err error
		switch w.data[w.pos] {
		case ' ', '\t', '\r', '\n', ':':
			w.pos++
		case ',':
			w.pos++
			if w.depth > 0 {
				w.open[w.depth-1].wantsKey = w.open[w.depth-1].isObject
			}
		case '{', '[':
			err = w.begin(w.data[w.pos] == '{')
		case '}', ']':
			err = w.end()
		case '"':
			err = w.text()
		default:
			err = w.literal()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *jsonWalk) count() error {
	if w.nodes++; w.nodes > w.most {
		return &TooLargeError{What: "count of values in JSON", Limit: w.most}
	}
	return nil
}

func (w *jsonWalk) begin(isObject bool) error {
	if w.depth == w.deepest {
		return invalidJSON(w.data, w.pos, tooDeep)
	}
	w.open[w.depth] = jsonContainer{firstKey: w.keys.len(), isObject: isObject, wantsKey: isObject}
	w.depth++
	w.pos++
	return w.count()
}

func (w *jsonWalk) end() error {
	if w.depth == 0 {
		return invalidJSON(w.data, w.pos, "it closes what is not open")
	}
	w.depth--
	if w.keys.pop(w.open[w.depth].firstKey) {
		return invalidJSON(w.data, w.pos, "an object has a name twice")
	}
	w.pos++
	return nil
}

// text reads a string, which is a name where an object wants one.
func (w *jsonWalk) text() error {
	start, escaped := w.pos, false
	for w.pos++; w.pos < len(w.data) && w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] == '\\' {
			escaped = true
			w.pos++
		}
	}
	if w.pos >= len(w.data) {
		return invalidJSON(w.data, start, "a string has no end")
	}
	w.pos++
	if w.depth > 0 && w.open[w.depth-1].wantsKey {
		w.open[w.depth-1].wantsKey = false
		if err := w.name(w.data[start:w.pos], escaped); err != nil {
			return err
		}
	}
	return w.count()
}

func (w *jsonWalk) name(quoted []byte, escaped bool) error {
	text := quoted[1 : len(quoted)-1]
	if escaped { // "\u0061" is the name "a"
		var plain string
		if err := json.Unmarshal(quoted, &plain); err != nil {
			return invalidJSON(w.data, w.pos, "a name is not a string")
		}
		text = []byte(plain)
	}
	w.keys.push(mapKey{kind: keyText, text: text})
	return nil
}

// literal reads a number, true, false or null.
func (w *jsonWalk) literal() error {
	for w.pos++; w.pos < len(w.data); w.pos++ {
		switch w.data[w.pos] {
		case ' ', '\t', '\r', '\n', ':', ',', '{', '}', '[', ']', '"':
			return w.count()
		}
	}
	return w.count()
}

func invalidJSON(data []byte, at int, reason string) error {
	const shown = 24
	near := data[min(at, len(data)):]
	return &InvalidError{
		What:   fmt.Sprintf("JSON at byte %d", at),
		Value:  string(near[:min(shown, len(near))]),
		Reason: reason,
	}
}
