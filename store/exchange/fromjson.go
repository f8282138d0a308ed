package exchange

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

// fromJSON returns the msgpack that most likely had this JSON made of it: fields
// in order, integers as integers, and what is printed as a time as a time.
// Whoever needs the very bytes compares. The JSON may come from anywhere; the
// error matches [store.ErrInvalid] or [store.ErrTooLarge].
func fromJSON(text []byte) ([]byte, error) {
	var checked json.RawMessage // guards depth and count, and that it is JSON
	if err := store.JSON.Unmarshal(text, &checked, false); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	r := &jsonReader{in: json.NewDecoder(bytes.NewReader(text)), out: msgpack.NewEncoder(&out)}
	r.in.UseNumber()
	r.out.UseCompactInts(true)
	v, err := r.next()
	if err == nil {
		err = r.encode(v)
	}
	if err == nil {
		err = store.GuardMsgPack(out.Bytes())
	}
	return out.Bytes(), err
}

// jsonReader reads a value whole before it writes it: msgpack has the number of
// elements in front. It recurses, for the guard has bounded the depth.
type jsonReader struct {
	in  *json.Decoder
	out *msgpack.Encoder
}

// object holds names and values in turn.
type object []any

// closing is the end of a list or an object.
type closing struct{}

func (r *jsonReader) next() (any, error) {
	token, err := r.in.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		return r.elements()
	case json.Delim('{'):
		elements, err := r.elements()
		return object(elements), err
	case json.Delim(']'), json.Delim('}'):
		return closing{}, nil
	}
	return token, nil
}

func (r *jsonReader) elements() ([]any, error) {
	elements := []any{}
	for {
		v, err := r.next()
		if err != nil || v == (closing{}) {
			return elements, err
		}
		elements = append(elements, v)
	}
}

func (r *jsonReader) encode(v any) error {
	switch v := v.(type) {
	case object:
		return r.encodeObject(v)
	case []any:
		if err := r.out.EncodeArrayLen(len(v)); err != nil {
			return err
		}
		for _, element := range v {
			if err := r.encode(element); err != nil {
				return err
			}
		}
		return nil
	case json.Number:
		return r.encodeNumber(v.String())
	case string:
		if t, is := printedTime(v); is {
			return r.out.EncodeTime(t)
		}
		return r.out.EncodeString(v)
	case bool:
		return r.out.EncodeBool(v)
	}
	return r.out.EncodeNil()
}

func (r *jsonReader) encodeObject(o object) error {
	if err := r.out.EncodeMapLen(len(o) / 2); err != nil {
		return err
	}
	for i := 0; i < len(o); i += 2 {
		if err := r.out.EncodeString(o[i].(string)); err != nil { // the grammar: a name
			return err
		}
		if err := r.encode(o[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// encodeNumber takes for a float what is written as one, or too large for an
// integer.
func (r *jsonReader) encodeNumber(text string) error {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return r.out.EncodeInt(n)
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return r.out.EncodeUint(n)
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return &store.InvalidError{What: "number", Value: text, Reason: "no float can hold it"}
	}
	return r.out.EncodeFloat64(f)
}

// printedTime reports whether text is exactly how a time is printed.
func printedTime(text string) (time.Time, bool) {
	if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' || text[len(text)-1] != 'Z' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil && t.Format(time.RFC3339Nano) == text
}
