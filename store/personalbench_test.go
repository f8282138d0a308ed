package store_test

import (
	"testing"

	"github.com/annals-go/annals/store"
)

// tenPersonal is tenFields with two personal fields.
type tenPersonal struct {
	ID       string  `json:"id"`
	Employee string  `json:"employee" personal:"id"`
	Amount   int     `json:"amount"`
	Rate     float64 `json:"rate"`
	Open     bool    `json:"open"`
	Product  string  `json:"product"`
	Months   int     `json:"months"`
	Channel  string  `json:"channel"`
	Branch   string  `json:"branch" personal:"@id"`
	Score    int     `json:"score"`
}

// What two personal fields cost beside BenchmarkTypes, without any encryption.
func BenchmarkPersonal(b *testing.B) {
	types := store.NewTypes(map[string]any{"submitted": tenPersonal{}})
	v := tenPersonal{"42", "emp-7", 15_000, 4.25, true, "consumer", 60, "web", "utrecht", 812}
	for _, codec := range codecs {
		encoded, err := types.Encode(codec, v)
		if err != nil {
			b.Fatal(err)
		}
		seal := func() ([]byte, error) {
			return store.ReplaceSpans(codec, encoded.Data, encoded.Personal, func(_ int, value []byte) ([]byte, error) {
				return store.SealedForm(codec, value), nil
			})
		}
		sealed, err := seal()
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := types.Encode(codec, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("seal/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := seal(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("open/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := store.OpenSealed(codec, sealed, func(_ string, e []byte) ([]byte, store.Personal, error) { return e, store.Personal{}, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
