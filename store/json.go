package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
)

// JSON is the codec for those who want to read their log with common tools.
// Names, limits and strictness are those of [MsgPack]; a string that is not
// UTF-8 is stored with replacement characters, as package encoding/json does.
var JSON Codec = &jsonCodec{}

type jsonCodec struct {
	buffers sync.Pool
	times   timeFields
	keepers keepers
}

// Name implements [Codec].
func (c *jsonCodec) Name() string { return "json" }

// Marshal implements [Codec].
func (c *jsonCodec) Marshal(v any) ([]byte, error) {
	buffer, ok := c.buffers.Get().(*bytes.Buffer)
	if !ok {
		buffer = new(bytes.Buffer)
	}
	defer c.release(buffer)
	buffer.Reset()
	// Not escaping for HTML keeps the data as they are when they are embedded
	// in a commit, which is encoded in the same way.
	e := json.NewEncoder(buffer)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, unfit(v, err)
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if held, keeper := c.keepers.held(v); held != (kept{}) {
		var err error
		if data, err = keeper.add(c, data, held); err != nil {
			return nil, unfit(v, err)
		}
	}
	if err := guardJSON(data); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.Clone(data), nil
}

func (c *jsonCodec) release(buffer *bytes.Buffer) {
	if buffer.Cap() <= maxPooledBytes {
		c.buffers.Put(buffer)
	}
}

// Unmarshal implements [Codec].
func (c *jsonCodec) Unmarshal(data []byte, v any, strict bool) (err error) {
	if err := guardJSON(data); err != nil {
		return err
	}
	defer recoverInto(&err, v)
	if err := decodeJSON(data, v, strict); err != nil {
		return unfit(v, err)
	}
	c.times.toUTC(v)
	keeper := c.keepers.of(reflect.TypeOf(v).Elem())
	if keeper == nil {
		return nil
	}
	if err := keeper.fill(c, data, v); err != nil {
		return unfit(v, err)
	}
	return nil
}

func decodeJSON(data []byte, v any, strict bool) error {
	if !strict {
		return json.Unmarshal(data, v)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the value")
	}
	return nil
}
