package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// keepMsgPack returns what of a struct's data the type does not have. The data
// have passed [GuardMsgPack] and fit the type.
func (k *keeper) keepMsgPack(data []byte) Unknown {
	r := wireReader{data: data}
	is, n := r.head()
	if is != wireMap {
		return Unknown{} // nil
	}
	var packed []byte
	count := 0
	for range n {
		begin := r.pos
		_, length := r.head()
		name := r.content(length)
		r.pass(r.head())
		if !k.has(string(name), false) {
			packed, count = append(packed, data[begin:r.pos]...), count+1
		}
	}
	return Unknown{packed: string(packed), count: count}
}

// addMsgPack adds the unknown fields to an encoded struct.
func (k *keeper) addMsgPack(encoded []byte, u Unknown) ([]byte, error) {
	if u.members != "" {
		var err error
		if u, err = u.toMsgPack(); err != nil {
			return nil, err
		}
	}
	u = k.keepMsgPack(u.appendMap(nil)) // the type may have fields by now that the one before had not
	if u.count == 0 {
		return encoded, nil
	}
	r := wireReader{data: encoded}
	is, n := r.head()
	if is != wireMap {
		return nil, errors.New("unknown fields go with a struct that is a map of its fields")
	}
	whole := appendMapHeader(make([]byte, 0, len(encoded)+len(u.packed)+4), int(n)+u.count)
	whole = append(whole, encoded[r.pos:]...)
	return append(whole, u.packed...), nil
}

// appendMap appends the fields as a map.
func (u Unknown) appendMap(dst []byte) []byte {
	return append(appendMapHeader(dst, u.count), u.packed...)
}

func appendMapHeader(dst []byte, n int) []byte {
	switch {
	case n <= 0x0f:
		return append(dst, 0x80|byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 0xde), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdf), uint32(n))
}

// keepJSON is keepMsgPack for data that are JSON.
func (k *keeper) keepJSON(data []byte) (Unknown, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return Unknown{}, err
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return k.has(name, true) })
	return membersOf(members)
}

// addJSON is addMsgPack for JSON.
func (k *keeper) addJSON(encoded []byte, u Unknown) ([]byte, error) {
	if u.count > 0 {
		var err error
		if u, err = u.toJSON(); err != nil {
			return nil, err
		}
	}
	u, err := k.keepJSON([]byte("{" + u.members + "}"))
	if err != nil || u.members == "" {
		return encoded, err
	}
	end := len(encoded) - 1
	if end < 1 || encoded[0] != '{' {
		return nil, errors.New("unknown fields go with a struct that is an object")
	}
	whole := append(make([]byte, 0, len(encoded)+len(u.members)+1), encoded[:end]...)
	if end > 1 {
		whole = append(whole, ',')
	}
	whole = append(whole, u.members...)
	return append(whole, '}'), nil
}

// membersOf writes members in the order of their names.
func membersOf(members map[string]json.RawMessage) (Unknown, error) {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		text, err := JSON.Marshal(name)
		if err != nil {
			return Unknown{}, err
		}
		b.Write(text)
		b.WriteByte(':')
		if err := json.Compact(&b, members[name]); err != nil {
			return Unknown{}, err
		}
	}
	return Unknown{members: b.String()}, nil
}

// toMsgPack translates fields that were kept from JSON. Integers stay integers.
func (u Unknown) toMsgPack() (Unknown, error) {
	d := json.NewDecoder(bytes.NewReader([]byte("{" + u.members + "}")))
	d.UseNumber()
	members := map[string]any{}
	if err := d.Decode(&members); err != nil {
		return Unknown{}, err
	}
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.SetSortMapKeys(true)
	e.UseCompactInts(true)
	if err := e.Encode(numbersIn(members)); err != nil {
		return Unknown{}, err
	}
	r := wireReader{data: b.Bytes()}
	_, n := r.head()
	return Unknown{packed: string(r.data[r.pos:]), count: int(n)}, nil
}

// numbersIn turns the numbers of JSON into those of Go, in place.
func numbersIn(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		var u uint64
		if json.Unmarshal([]byte(v), &u) == nil {
			return u
		}
		f, _ := v.Float64() // one that is out of range is infinite, which JSON would not take back
		return f
	case map[string]any:
		for name, inner := range v {
			v[name] = numbersIn(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = numbersIn(inner)
		}
	}
	return v
}

// toJSON translates fields that were kept from msgpack: bytes become base64, times
// RFC 3339. Maps whose keys are no text have no form in JSON.
func (u Unknown) toJSON() (Unknown, error) {
	var members map[string]any
	if err := MsgPack.Unmarshal(u.appendMap(nil), &members, false); err != nil {
		return Unknown{}, fmt.Errorf("unknown fields as JSON: %w", err)
	}
	raw := make(map[string]json.RawMessage, len(members))
	for name, v := range members {
		text, err := JSON.Marshal(v)
		if err != nil {
			return Unknown{}, fmt.Errorf("unknown field %q as JSON: %w", name, err)
		}
		raw[name] = text
	}
	return membersOf(raw)
}
