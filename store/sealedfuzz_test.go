package store_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// FuzzOpenSealed opens bytes from outside: whatever they hold, what comes back can be
// decoded, holds nothing sealed, and says what is gone.
func FuzzOpenSealed(f *testing.F) {
	for _, codec := range codecs {
		s := store.SealedForm(codec, []byte("~envelope"))
		one, err := codec.Marshal(map[string]any{"a": 1, "l": []any{nil, "PPP"}, "annals:shredded": []string{"x"}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(one, codec == store.JSON, uint8(0))
		f.Add(s, codec == store.JSON, uint8(1))
	}
	s := string(store.SealedForm(store.JSON, []byte("~envelope")))
	f.Add([]byte(`{"a":`+s+`, "b":[`+s+`,{"c d":`+s+`}]}`), true, uint8(2))
	p := string(store.SealedForm(store.MsgPack, []byte("~envelope")))
	f.Add([]byte("\x83\xa1a"+p+"\x05\x92"+p+"\xc0\xc4\x01k\x81\xa1x"+p), false, uint8(2))
	f.Add([]byte("\x81\xa1a\xc9\xff\xff\xff\xff\x50"), false, uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool, gone uint8) {
		codec := store.MsgPack
		if asJSON {
			codec = store.JSON
		}
		found := 0
		plain, personal, shredded, err := store.OpenSealed(codec, data, func(path string, _ []byte) ([]byte, store.Personal, error) {
			if found++; uint8(found)&gone != 0 {
				return nil, store.Personal{}, nil
			}
			value, err := codec.Marshal("opened " + path[:min(len(path), 9)])
			if err != nil {
				value, err = codec.Marshal("opened")
			}
			return value, store.Personal{}, err
		})
		if err != nil || found == 0 {
			return
		}
		if len(personal)+len(shredded) != found || len(plain) > len(data)+600*found+64 {
			t.Fatalf("of %d values %d were opened and %d left out, in %d bytes of %d", found, len(personal), len(shredded), len(plain), len(data))
		}
		var v any
		if err := codec.Unmarshal(plain, &v, false); err != nil {
			if errors.Is(err, store.ErrTooLarge) || strings.Contains(err.Error(), "map[string]interface") || strings.Contains(err.Error(), "interface {}") {
				return // nobody has left room for what is gone, or it was no value of Go before
			}
			t.Fatalf("%q became %q: %v", data, plain, err)
		}
		for _, p := range personal {
			if !strings.Contains(string(plain[p.Start:p.End]), "opened") {
				t.Fatalf("%q became %q, of which %+v is personal", data, plain, p)
			}
		}
		if _, isMap := v.(map[string]any); isMap && len(shredded) > 0 {
			said := strings.Join(store.ShreddedIn(codec, plain), "\n")
			for _, path := range shredded {
				if !strings.Contains(said, path) {
					t.Fatalf("%q became %q, which does not say that %q is gone", data, plain, path)
				}
			}
		}
	})
}

// FuzzPersonal seals what is personal in a value and opens it again: it is the same, to
// the byte, and nothing of it was left in between.
func FuzzPersonal(f *testing.F) {
	f.Add("Ann", "p-1", "a b", "cook", int64(7), []byte("x"))
	f.Add("", "", "", "", int64(0), []byte(nil))
	f.Add("\u2028<&>\"\\", "é", "annals:sealed", "PP\xc7\x01P", int64(-1), []byte{0xc7, 1, 0x50})
	f.Fuzz(func(t *testing.T, name, id, role, what string, number int64, raw []byte) {
		type rawHired struct {
			Hired hired  `json:"hired"`
			Raw   []byte `json:"raw" personal:"number"`
			Of    int64  `json:"number"`
		}
		v := fullHired()
		v.Number, v.Plain, v.Mail, v.Note = number, role, name, &name
		v.Person = hiredPerson{ID: id, Name: name, Tags: []string{what, name}}
		v.ByRole = map[string]duty{role: {Of: id, What: what}}
		v.Rest, v.Gone = store.Unknown{}, store.Shredded{}
		for _, codec := range codecs {
			data, err := codec.Marshal(rawHired{Raw: raw, Of: number, Hired: v})
			if err != nil {
				continue
			}
			spans, err := store.PersonalSpans(codec, rawHired{}, data)
			if err != nil {
				continue // of nobody
			}
			sealed, err := store.ReplaceSpans(codec, data, spans, func(i int, value []byte) ([]byte, error) {
				return store.SealedForm(codec, append([]byte{'~', byte(i)}, value...)), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			plain, personal, _, err := store.OpenSealed(codec, sealed, func(path string, envelope []byte) ([]byte, store.Personal, error) {
				if int(envelope[1]) != n || path != spans[n].Path {
					t.Errorf("%s: value %d at %q, want that at %q", codec.Name(), envelope[1], path, spans[n].Path)
				}
				n++
				return envelope[2:], store.Personal{Subject: spans[n-1].Subject}, nil
			})
			if err != nil || !bytes.Equal(plain, data) || !reflect.DeepEqual(personal, spans) {
				t.Fatalf("%s: %q became %q, %v", codec.Name(), data, plain, err)
			}
			if len(spans) == 0 {
				continue
			}
			if hidden, err := store.ReplaceSpans(codec, data, spans, func(int, []byte) ([]byte, error) { return nil, nil }); err != nil || codec.Unmarshal(hidden, new(rawHired), false) != nil {
				t.Fatalf("%s: %q without it is %q, %v", codec.Name(), data, hidden, err)
			}
		}
	})
}

// FuzzWithoutPersonal: a body from outside loses the values of its personal fields, by
// whatever names a decoder takes them.
func FuzzWithoutPersonal(f *testing.F) {
	type command struct {
		Owner string   `json:"owner"`
		Names []string `json:"names" personal:"owner"`
		Inner *struct {
			Name string `json:"name" personal:"owner"`
		} `json:"inner"`
	}
	types := store.NewTypes(map[string]any{"command": command{}})
	f.Add([]byte(`{"owner":"1","NAMES":["Annabella","Bob"],"inner":{"n\u0061me":"Christopher"}}`), true)
	f.Add([]byte("\x82\xa5owner\xa11\xc4\x05names\x91\xa9Annabella"), false)
	f.Add([]byte("\x82\xa5owner\xa11\xa5inner\x81\xa4name\xc4\x09Annabella"), false)
	f.Fuzz(func(t *testing.T, body []byte, asJSON bool) {
		codec := store.MsgPack
		if asJSON {
			codec = store.JSON
		}
		rest := types.WithoutPersonal(codec, "command", 0, bytes.Clone(body))
		if len(rest) > len(body) {
			t.Fatalf("%q became %q", body, rest)
		}
		v, err := types.DecodeStrict(codec, "command", 0, body)
		if err != nil || len(body) == 0 {
			return
		}
		c := v.(command)
		names := c.Names
		if c.Inner != nil {
			names = append(names, c.Inner.Name)
		}
		for _, name := range names {
			if len(name) > 7 && !strings.Contains(c.Owner, name) && strings.Contains(string(rest), name) {
				t.Fatalf("%q became %q, which has %q", body, rest, name)
			}
		}
	})
}
