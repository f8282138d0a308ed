package privacy_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

func eventScope() privacy.Scope {
	return privacy.Scope{
		Kind: privacy.KindEvent, Stream: store.StreamID{Type: "application", ID: "173688"}, Event: uuid.MustParse("6f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a12"),
		Type: "submitted", Schema: 2,
	}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		k, keys := newRing(t)
		data, spans := encode(t, codec, field{"email", "ann@example.org", "ann"}, field{"name", "Ann Smith", "ann"}, field{"partner", "Bob Jones", "bob"}, field{"remark", "is patient", ""})
		sealed, used, err := k.Seal(t.Context(), eventScope(), codec, data, spans)
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range []string{"ann@example.org", "Ann Smith", "Bob Jones", "is patient"} {
			if bytes.Contains(sealed, []byte(plain)) {
				t.Errorf("sealed data hold %q", plain)
			}
		}
		if len(used) != 3 || used[0].Subject != "ann" || used[1].Subject != "bob" || used[2].Subject != "173688" {
			t.Errorf("used the keys %v", used)
		}
		if !privacy.Sealed(codec, sealed) || privacy.Sealed(codec, data) {
			t.Error("sealed data are not told from plain ones")
		}
		again, _, err := k.Seal(t.Context(), eventScope(), codec, data, spans)
		if err != nil || bytes.Equal(again, sealed) {
			t.Errorf("sealed twice it is the same (%v): the nonce is not random", err)
		}
		other := ringOf(t, keys, wrapper(t)) // whose wrapping key is another one
		if _, _, err := other.Open(t.Context(), eventScope(), codec, sealed); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("opened under another wrapping key: %v", err)
		}
		plain, got, err := k.Open(t.Context(), eventScope(), codec, sealed)
		if err != nil || !bytes.Equal(plain, data) {
			t.Fatalf("opened: %q, %v, want %q", plain, err, data)
		}
		for i := range spans {
			want := spans[i]
			if want.Subject == "" {
				want.Subject = "173688"
			}
			want.Key = got[i].Key
			if got[i] != want || want.Key == (store.KeyID{}) {
				t.Errorf("span %d is %+v, want %+v", i, got[i], want)
			}
		}
	})
}

func TestChangedEnvelopeIsRefused(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	data, spans := encode(t, store.MsgPack, field{"email", "ann@example.org", "ann"})
	sealed, _, err := k.Seal(t.Context(), eventScope(), store.MsgPack, data, spans)
	if err != nil {
		t.Fatal(err)
	}
	whole := envelopes(t, store.MsgPack, sealed)[0]
	for i := range whole {
		for _, bit := range []byte{1, 0x80} {
			e := bytes.Clone(whole)
			e[i] ^= bit
			wantRefused(t, "bit", k, eventScope(), store.MsgPack, place(t, store.MsgPack, sealed, [][]byte{e}))
		}
		wantRefused(t, "length", k, eventScope(), store.MsgPack, place(t, store.MsgPack, sealed, [][]byte{whole[:i]}))
	}
	wantRefused(t, "length", k, eventScope(), store.MsgPack, place(t, store.MsgPack, sealed, [][]byte{append(bytes.Clone(whole), 0)}))
}

func TestForgottenIsLeftOut(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		k, keys := newRing(t)
		data, spans := encode(t, codec, field{"email", "ann@example.org", "ann"}, field{"partner", "Bob Jones", "bob"})
		sealed, used, err := k.Seal(t.Context(), eventScope(), codec, data, spans)
		if err != nil {
			t.Fatal(err)
		}
		before := k.Generation()
		mustForget(t, forgetter(t, keys, k), "ann")
		if k.Generation() == before || !k.AnyErased(used) || k.AnyErased(used[1:]) {
			t.Error("the keyring has not learnt of the erasure, or of another one")
		}
		for _, k := range []*privacy.Keyring{k, ringOf(t, keys, brokenWrapper{})} {
			plain, personal, err := k.Open(t.Context(), eventScope(), codec, sealed)
			if k.Held() == 0 || errors.Is(err, store.ErrUnavailable) {
				continue // without the wrapping key Bob's data cannot be had
			}
			if err != nil || len(personal) != 1 || personal[0].Path != "partner" {
				t.Fatalf("open what was forgotten: %v, %v", personal, err)
			}
			got := texts(t, codec, plain)
			if _, there := got["email"]; there || got["partner"] != "Bob Jones" || got["city"] != "Utrecht" {
				t.Errorf("left is %v", got)
			}
			if shredded := store.ShreddedIn(codec, plain); len(shredded) != 1 || shredded[0] != "email" {
				t.Errorf("shredded is %v", shredded)
			}
		}
		// Seen again, she gets another key; what was stays dead.
		again, used2, err := k.Seal(t.Context(), eventScope(), codec, data, spans)
		if err != nil || used2[0].ID == used[0].ID {
			t.Fatalf("sealed under the key that was erased: %v, %v", used2, err)
		}
		if plain, _, err := k.Open(t.Context(), eventScope(), codec, again); err != nil || !bytes.Equal(plain, data) {
			t.Errorf("the new data: %q, %v", plain, err)
		}
		if plain, _, _ := k.Open(t.Context(), eventScope(), codec, sealed); bytes.Contains(plain, []byte("ann@example.org")) {
			t.Error("the old data are back")
		}
	})
}

func TestSealAs(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		k, keys := newRing(t)
		data, spans := encode(t, codec, field{"email", "ann@example.org", "ann"}, field{"partner", "Bob Jones", "bob"})
		scope := privacy.Scope{Kind: privacy.KindDocument, Stream: store.StreamID{Type: "people", ID: "ann"}, Type: "person", Schema: 1}
		_, used, err := k.Seal(t.Context(), scope, codec, data, spans)
		if err != nil {
			t.Fatal(err)
		}
		spans[0].Key, spans[1].Key = used[0].ID, used[1].ID
		mustForget(t, forgetter(t, keys, k), "ann")
		if _, _, err := k.Seal(t.Context(), scope, codec, data, spans[:1]); err != nil { // she is seen again
			t.Fatal(err)
		}
		sealed, err := k.SealAs(t.Context(), scope, codec, data, spans)
		if err != nil {
			t.Fatal(err)
		}
		plain, personal, err := k.Open(t.Context(), scope, codec, sealed)
		if err != nil || len(personal) != 1 || personal[0].Key != used[1].ID {
			t.Fatalf("opened: %v, %v", personal, err)
		}
		if got := texts(t, codec, plain); got["partner"] != "Bob Jones" || got["email"] != "" {
			t.Errorf("left is %v", got)
		}
	})
}

func TestLostKeyIsLoud(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	data, spans := encode(t, store.MsgPack, field{"email", "ann@example.org", "ann"})
	sealed, used, err := k.Seal(t.Context(), eventScope(), store.MsgPack, data, spans)
	if err != nil {
		t.Fatal(err)
	}
	for _, empty := range []bool{true, false} {
		other, _ := newRing(t)
		if !empty { // she has a key there, and it is another one
			if _, _, err := other.Seal(t.Context(), eventScope(), store.MsgPack, data, spans); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err = other.Open(t.Context(), eventScope(), store.MsgPack, sealed)
		var lost *privacy.KeyLostError
		if !errors.As(err, &lost) || lost.Key != used[0].ID || lost.Subject != "ann" || !errors.Is(err, store.ErrDamaged) {
			t.Errorf("open without the key: %v, want a KeyLostError", err)
		}
	}
}

func TestSubjectsThatCannotBe(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	for _, subject := range []string{"a\nb", string(make([]byte, 200)), "\xff"} {
		data, spans := encode(t, store.MsgPack, field{"email", "ann@example.org", subject})
		if _, _, err := k.Seal(t.Context(), eventScope(), store.MsgPack, data, spans); !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("subject %q: %v", subject, err)
		}
	}
}

// FuzzOpen opens sealed data from anywhere: nothing that was not sealed here opens.
func FuzzOpen(f *testing.F) {
	keys := privacy.NewMemory()
	k := ringOf(f, keys, wrapper(f))
	for _, codec := range codecs {
		data, spans := encode(f, codec, field{"email", "ann@example.org", "ann"})
		sealed, _, err := k.Seal(f.Context(), eventScope(), codec, data, spans)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed, codec == store.JSON)
		f.Add(data, codec == store.JSON)
		f.Add(store.SealedForm(codec, []byte("\x01")), codec == store.JSON)
		f.Add(store.SealedForm(codec, append([]byte{1}, make([]byte, 60)...)), codec == store.JSON)
	}
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		codec := store.MsgPack
		if json {
			codec = store.JSON
		}
		before := bytes.Clone(data)
		plain, personal, err := k.Open(t.Context(), eventScope(), codec, data)
		if !bytes.Equal(before, data) {
			t.Fatal("the data were changed")
		}
		for _, p := range personal { // only one value was sealed, in one place
			if p.Path != "email" || !bytes.Contains(plain[p.Start:p.End], []byte("ann@example.org")) {
				t.Errorf("%+v was opened in %q", p, data)
			}
		}
		if err == nil && !store.HoldsSealed(codec, data) && !bytes.Equal(plain, data) {
			t.Error("data without sealed values came back otherwise")
		}
	})
}
