package store

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// MsgPack is the codec that a namespace has unless it asks for another:
// compact, and fast. A struct is a map from the names of its json tags. Times
// come back in UTC. What it writes has passed [GuardMsgPack], so that it can be
// read again: strings that are not UTF-8, and values over the limits, are
// refused when they are written. What it reads fits the Go type exactly: a
// number is never cut, and a struct is never filled from a list by position.
var MsgPack Codec = &msgpackCodec{}

type msgpackCodec struct {
	encoders sync.Pool
	decoders sync.Pool
	shapes   shapes
	times    timeFields
	keepers  keepers
}

type msgpackEncoder struct {
	buffer  bytes.Buffer
	encoder *msgpack.Encoder
}

type msgpackDecoder struct {
	reader  bytes.Reader
	decoder *msgpack.Decoder
}

// Name implements [Codec].
func (c *msgpackCodec) Name() string { return "msgpack" }

// Marshal implements [Codec].
func (c *msgpackCodec) Marshal(v any) ([]byte, error) {
	e, ok := c.encoders.Get().(*msgpackEncoder)
	if !ok {
		e = &msgpackEncoder{encoder: msgpack.NewEncoder(nil)}
	}
	defer c.release(e)
	e.buffer.Reset()
	e.encoder.Reset(&e.buffer)
	e.encoder.SetCustomStructTag("json")
	e.encoder.SetSortMapKeys(true)
	e.encoder.UseCompactInts(true)
	if err := e.encoder.Encode(v); err != nil {
		return nil, unfit(v, err)
	}
	data := e.buffer.Bytes()
	if held, keeper := c.keepers.held(v); held != (kept{}) {
		var err error
		if data, err = keeper.add(c, data, held); err != nil {
			return nil, unfit(v, err)
		}
	}
	if err := GuardMsgPack(data); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.Clone(data), nil
}

func (c *msgpackCodec) release(e *msgpackEncoder) {
	if e.buffer.Cap() <= maxPooledBytes {
		c.encoders.Put(e)
	}
}

// Unmarshal implements [Codec].
func (c *msgpackCodec) Unmarshal(data []byte, v any, strict bool) (err error) {
	if err := GuardMsgPack(data); err != nil {
		return err
	}
	defer recoverInto(&err, v)
	shape, err := c.shapes.check(data, v)
	if err != nil {
		return err
	}
	d, ok := c.decoders.Get().(*msgpackDecoder)
	if !ok {
		d = &msgpackDecoder{decoder: msgpack.NewDecoder(nil)}
	}
	d.reader.Reset(data)
	d.decoder.Reset(&d.reader)
	d.decoder.SetCustomStructTag("json")
	d.decoder.DisallowUnknownFields(strict)
	if err := d.decoder.Decode(v); err != nil {
		return unfit(v, err)
	}
	d.reader.Reset(nil)
	c.decoders.Put(d)
	c.times.toUTC(v)
	if shape != nil && shape.keeper != nil {
		return shape.keeper.fill(c, data, v)
	}
	return nil
}
