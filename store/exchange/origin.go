package exchange

import (
	"bytes"
	"io"

	"github.com/annals-go/annals/store"
)

// Origin is what the first line of a file says of the namespace that the file comes
// from, for those who make one for it.
type Origin struct {
	// Codec is how the values were stored; nil if the line does not say it.
	Codec store.Codec
	// KeepsCommands says that the command stands beside the event.
	KeepsCommands bool
}

// OriginOf reads the first line of r and returns what it says, and a reader of all
// of r. Of a line that is none it says nothing: [Import] will.
func OriginOf(form Form, r io.Reader) (Origin, io.Reader) {
	var seen bytes.Buffer
	whole := io.MultiReader(&seen, r)
	line, err := newLineReader(io.TeeReader(r, &seen)).read()
	if err != nil {
		return Origin{}, whole
	}
	e, err := form.unmarshal(bytes.TrimSpace(line))
	if err != nil {
		return Origin{}, whole
	}
	o := Origin{KeepsCommands: e.Command.Body != nil}
	if codec, err := store.CodecByName(e.Codec); err == nil {
		o.Codec = codec
	}
	return o, whole
}
