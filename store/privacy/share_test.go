package privacy_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// What of some data is a person's own stays, what is another's is veiled, and data that say nothing of a
// person are nobody's share.
func TestShares(t *testing.T) {
	t.Parallel()
	type line struct {
		Who  string `json:"who"`
		Text string `json:"text" personal:"who"`
	}
	type page struct {
		Own   string `json:"own" personal:"@id"`
		Lines []line `json:"lines"`
		Count int    `json:"count"`
	}
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		value := page{Own: "mine", Lines: []line{{"ann", "a"}, {"ben", "b"}}, Count: 3}
		data, err := codec.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		spans, err := store.PersonalSpans(codec, value, data)
		if err != nil {
			t.Fatal(err)
		}
		before := string(data)
		for subject, want := range map[string]string{
			"ann": "[lines[0].text] [own lines[1].text] {[personal] [{ann a} {ben [personal]}] 3}",
			"ben": "[lines[1].text] [own lines[0].text] {[personal] [{ann [personal]} {ben b}] 3}",
			"7":   "[own] [lines[0].text lines[1].text] {mine [{ann [personal]} {ben [personal]}] 3}",
			"cid": "",
			"":    "",
		} {
			share, err := privacy.ShareOf(codec, data, spans, "7", subject)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if share.Personal != nil {
				var read page
				if err := codec.Unmarshal(share.Data, &read, false); err != nil {
					t.Fatal(err)
				}
				got = fmt.Sprint(share.Personal, share.Others, read)
			} else if share.Data != nil || share.Others != nil {
				t.Errorf("%s has nothing, and %+v", subject, share)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", subject, diff)
			}
		}
		if string(data) != before {
			t.Error("the data given were changed")
		}
	})
}
