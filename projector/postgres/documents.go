package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

const (
	// maxDocument is the size of the largest document, in bytes: a quarter of what
	// the server's type can hold at all.
	maxDocument = 64 << 20
	// maxChunk and maxRows are how many bytes of documents, and how many documents,
	// one statement carries: the server works on one while the next is on its way.
	maxChunk = 16 << 20
	maxRows  = 1000
)

// chunk is documents that one statement stores, column by column.
type chunk struct {
	keys      []string
	positions []int64
	places    []int64 // in the commit
	documents []string
	exact     [][]byte // as long as documents, or empty
	bytes     int
}

func (p *prepared) document(place int, d projector.Document) error {
	if _, err := store.EncodeToken(d.Key); err != nil {
		return err
	}
	if d.Document == nil {
		p.removes = append(p.removes, d.Key)
		return nil
	}
	if len(d.Document) > maxDocument {
		return &store.TooLargeError{What: fmt.Sprintf("document %q", d.Key), Size: len(d.Document), Limit: maxDocument}
	}
	if n := len(p.puts); n == 0 || p.puts[n-1].full(len(d.Document)) {
		p.puts = append(p.puts, chunk{})
	}
	return p.puts[len(p.puts)-1].add(place, d)
}

func (c *chunk) full(more int) bool { return len(c.keys) == maxRows || c.bytes+more > maxChunk }

func (c *chunk) add(place int, d projector.Document) error {
	text, exact := d.Document, []byte(nil)
	if beyondJSONB(text) {
		var err error
		if text, err = searchable(text); err != nil {
			return &store.InvalidError{What: "document", Value: d.Key, Reason: err.Error()}
		}
		exact = d.Document
		c.exact = append(c.exact, make([][]byte, len(c.keys)-len(c.exact))...)
		c.exact = append(c.exact, exact)
	}
	c.keys = append(c.keys, d.Key)
	c.positions = append(c.positions, int64(d.Position))
	c.places = append(c.places, int64(place))
	c.documents = append(c.documents, string(text))
	c.bytes += len(text) + len(exact)
	return nil
}

// beyondJSONB reports whether a document may hold what the server's jsonb does
// not: the character U+0000, half a surrogate pair, or bytes that are no UTF-8.
func beyondJSONB(document []byte) bool {
	for rest := document; ; {
		i := bytes.Index(rest, []byte(`\u`))
		if i < 0 {
			return !utf8.Valid(document)
		}
		rest = rest[i+2:]
		if bytes.HasPrefix(rest, []byte("0000")) || len(rest) > 0 && (rest[0] == 'd' || rest[0] == 'D') {
			return true
		}
	}
}

// searchable writes a document so that jsonb takes it, with the replacement
// character where there is something that it does not take.
func searchable(document []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(withoutZero(value))
}

func withoutZero(value any) any {
	switch v := value.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "\uFFFD")
	case []any:
		for i := range v {
			v[i] = withoutZero(v[i])
		}
	case map[string]any:
		for key, member := range v {
			delete(v, key)
			v[withoutZero(key).(string)] = withoutZero(member)
		}
	}
	return value
}

// compact takes the blanks out that the server prints between the members of a
// document, in place.
func compact(document []byte) []byte {
	kept := document[:0]
	quoted, escaped := false, false
	for _, b := range document {
		if b == ' ' && !quoted {
			continue
		}
		if b == '"' && !escaped {
			quoted = !quoted
		}
		escaped = b == '\\' && !escaped
		kept = append(kept, b)
	}
	return kept
}
