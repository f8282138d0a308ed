package store

// Codec turns values into bytes and back. There are two, [MsgPack] and
// [JSON]; a namespace's is fixed when it is created.
//
// Both name a struct's fields by their json tags.
type Codec interface {
	// Name is "msgpack" or "json".
	Name() string
	// Marshal encodes v. Equal values give equal bytes unless v holds maps.
	Marshal(v any) ([]byte, error)
	// Unmarshal decodes data, which may come from anywhere, into the value that
	// v points to. It never panics and its memory is bounded by a small multiple
	// of len(data). With strict, fields that v does not have are refused. The
	// error matches [ErrInvalid] or [ErrTooLarge].
	Unmarshal(data []byte, v any, strict bool) error
}
