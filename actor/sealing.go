package actor

import (
	"encoding/base64"

	"github.com/annals-go/annals/store"
)

const (
	// envelopeBytes is more than a sealed value needs beside its subject and the plain
	// one, and sealedJSONBytes more than JSON needs around that.
	envelopeBytes   = 64
	sealedJSONBytes = 32
)

// sealing is at least how many bytes longer data are when they are stored, because what
// is personal in them is sealed.
func sealing(codec store.Codec, stream store.StreamID, spans []store.Personal) (more int) {
	for i := range spans {
		p := &spans[i]
		subject := p.Subject
		if subject == "" {
			subject = stream.ID
		}
		more += envelopeBytes + len(subject)
		if codec == store.JSON {
			sealed := p.End - p.Start + envelopeBytes + len(subject)
			more += base64.StdEncoding.EncodedLen(sealed) - sealed + sealedJSONBytes
		}
	}
	return more
}
