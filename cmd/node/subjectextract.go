package node

import (
	"encoding/json"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
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
func extractOf(codec store.Codec, data []byte, spans []store.Personal, id, subject string) (extract, error) {
	share, err := privacy.ShareOf(codec, data, spans, id, subject)
	if err != nil || share.Personal == nil {
		return extract{}, err
	}
	x := extract{Personal: share.Personal, Others: share.Others}
	x.Data, err = readable(codec, share.Data)
	return x, err
}
