package store

import (
	"fmt"
	"strings"
)

// maxPooledBytes is the capacity above which a buffer is not kept for reuse,
// so that one large value does not stay in memory for ever.
const maxPooledBytes = 64 << 10

// CodecByName returns the codec whose Name it is: "msgpack" or "json". The
// error is an [*InvalidError].
func CodecByName(name string) (Codec, error) {
	for _, c := range []Codec{MsgPack, JSON} {
		if c.Name() == name {
			return c, nil
		}
	}
	return nil, &InvalidError{What: "codec", Value: name, Reason: `want "msgpack" or "json"`}
}

// unfit says that bytes and a Go type do not go together.
func unfit(v any, cause error) error {
	name := strings.TrimPrefix(fmt.Sprintf("%T", v), "*")
	return &InvalidError{What: "value for", Value: name, Reason: cause.Error()}
}

// recoverInto turns the panic of a decoder, or of a type's own decoding
// method, into an error: what comes from outside must not end the process.
func recoverInto(err *error, v any) {
	if cause := recover(); cause != nil {
		*err = unfit(v, fmt.Errorf("decoding panicked: %v", cause))
	}
}
