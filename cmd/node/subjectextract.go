package node

import (
	"encoding/json"

	"github.com/annals-go/annals/store"
)

// extract is what of some data a data subject may be given.
type extract struct {
	// Personal names what in the data is about the subject; nil if nothing is.
	Personal []string `json:"personal"`
	// Others names what is about others, and is taken out.
	Others []string        `json:"others,omitempty"`
	Data   json.RawMessage `json:"data"`
}

// extractOf puts a text in the place of what is personal to others. id is whose the spans
// are that name nobody.
func extractOf(codec store.Codec, data []byte, spans []store.Personal, id, subject string) (x extract, err error) {
	own := make([]bool, len(spans))
	for i, p := range spans {
		if own[i] = p.Subject == subject || p.Subject == "" && id == subject; own[i] {
			x.Personal = append(x.Personal, p.Path)
		} else {
			x.Others = append(x.Others, p.Path)
		}
	}
	if x.Personal == nil {
		return extract{}, nil
	}
	veiled, err := codec.Marshal(string(shown))
	if err != nil {
		return extract{}, err
	}
	data, err = store.ReplaceSpans(codec, data, spans, func(i int, value []byte) ([]byte, error) {
		if own[i] {
			return value, nil
		}
		return veiled, nil
	})
	if err != nil {
		return extract{}, err
	}
	x.Data, err = readable(codec, data)
	return x, err
}
