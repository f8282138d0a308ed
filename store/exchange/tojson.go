package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/annals-go/annals/store"
)

// noJSON stands for a value that has no JSON, beside its stored bytes.
var noJSON = json.RawMessage("null")

// newPayload returns the JSON of a stored value, with the value as it was stored
// where [fromJSON] would not make the same bytes of it again.
func newPayload(codec store.Codec, stored []byte) payload {
	if codec == store.JSON {
		return payload{Data: stored}
	}
	text, whole := toJSON(stored)
	if whole {
		if again, err := fromJSON(text); err == nil && bytes.Equal(again, stored) {
			return payload{Data: text}
		}
	}
	return payload{Data: text, Packed: &stored}
}

// toJSON returns the JSON of a value in msgpack, as encoding/json has it for the
// Go types: times by RFC 3339, bytes in base64. Fields keep their order. It is
// whole unless something in it has no JSON, such as a number that is none, and
// stands there as null.
func toJSON(packed []byte) (text json.RawMessage, whole bool) {
	if err := store.GuardMsgPack(packed); err != nil {
		return noJSON, false
	}
	r := bytes.NewReader(packed)
	w := &jsonWriter{in: msgpack.NewDecoder(r), whole: true}
	w.out.Grow(2 * len(packed))
	if err := w.value(); err != nil || r.Len() > 0 {
		return noJSON, false
	}
	return w.out.Bytes(), w.whole
}

// jsonWriter reads one value from a decoder and writes its JSON. It recurses,
// for the guard has bounded the depth.
type jsonWriter struct {
	in    *msgpack.Decoder
	out   bytes.Buffer
	whole bool
}

func (w *jsonWriter) value() error {
	code, err := w.in.PeekCode()
	if err != nil {
		return err
	}
	switch {
	case code == msgpcode.Nil:
		w.out.WriteString("null")
		return w.in.DecodeNil()
	case code == msgpcode.True, code == msgpcode.False:
		return w.truth()
	case code == msgpcode.Float, code == msgpcode.Double:
		return w.float(code)
	case msgpcode.IsString(code):
		return w.text()
	case msgpcode.IsBin(code):
		return w.bytes()
	case msgpcode.IsExt(code):
		return w.time()
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		return w.list()
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		return w.object()
	}
	return w.integer(code)
}

func (w *jsonWriter) truth() error {
	b, err := w.in.DecodeBool()
	w.out.WriteString(strconv.FormatBool(b))
	return err
}

func (w *jsonWriter) integer(code byte) error {
	if code == msgpcode.Uint64 {
		n, err := w.in.DecodeUint64()
		w.out.WriteString(strconv.FormatUint(n, 10))
		return err
	}
	n, err := w.in.DecodeInt64()
	w.out.WriteString(strconv.FormatInt(n, 10))
	return err
}

// float prints what is read as a float again: 1 as 1.0.
func (w *jsonWriter) float(code byte) error {
	bits := 64
	if code == msgpcode.Float {
		bits = 32
	}
	f, err := w.in.DecodeFloat64()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.null()
		return err
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	w.out.WriteString(text)
	return err
}

// null stands for what has no JSON.
func (w *jsonWriter) null() {
	w.whole = false
	w.out.WriteString("null")
}

func (w *jsonWriter) text() error {
	s, err := w.in.DecodeString()
	if err != nil {
		return err
	}
	return w.quote(s)
}

func (w *jsonWriter) quote(s string) error {
	quoted, err := marshalLine(s)
	w.out.Write(quoted)
	return err
}

func (w *jsonWriter) bytes() error {
	b, err := w.in.DecodeBytes()
	if err != nil {
		return err
	}
	return w.quote(base64.StdEncoding.EncodeToString(b))
}

func (w *jsonWriter) time() error {
	t, err := w.in.DecodeTime()
	if err != nil {
		return err
	}
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		w.null() // which RFC 3339 cannot print
		return nil
	}
	return w.quote(t.Format(time.RFC3339Nano))
}

func (w *jsonWriter) list() error {
	n, err := w.in.DecodeArrayLen()
	w.out.WriteByte('[')
	for i := 0; i < n && err == nil; i++ {
		w.comma(i)
		err = w.value()
	}
	w.out.WriteByte(']')
	return err
}

func (w *jsonWriter) object() error {
	n, err := w.in.DecodeMapLen()
	w.out.WriteByte('{')
	for i := 0; i < n && err == nil; i++ {
		w.comma(i)
		if err = w.key(); err == nil {
			w.out.WriteByte(':')
			err = w.value()
		}
	}
	w.out.WriteByte('}')
	return err
}

func (w *jsonWriter) comma(i int) {
	if i > 0 {
		w.out.WriteByte(',')
	}
}

// key writes a name; the guard lets text, bytes and integers through.
func (w *jsonWriter) key() error {
	code, err := w.in.PeekCode()
	if err != nil {
		return err
	}
	if msgpcode.IsString(code) || msgpcode.IsBin(code) {
		return w.text()
	}
	w.out.WriteByte('"')
	err = w.integer(code)
	w.out.WriteByte('"')
	return err
}
