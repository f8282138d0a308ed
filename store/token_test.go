package store_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestEncodeToken(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"173688":                       "173688",
		"Order_7-b":                    "Order_7-b",
		"a.b":                          "a=2Eb",
		"*":                            "=2A",
		">":                            "=3E",
		"a.*":                          "a=2E=2A",
		".":                            "=2E",
		"..":                           "=2E=2E",
		"a b":                          "a=20b",
		" ":                            "=20",
		"a/b":                          "a=2Fb",
		"=41":                          "=3D41",
		"é":                            "=C3=A9",
		"\U0001F4B6":                   "=F0=9F=92=B6",
		"$JS.API.STREAM.DELETE.X":      "=24JS=2EAPI=2ESTREAM=2EDELETE=2EX",
		"../../etc":                    "=2E=2E=2F=2E=2E=2Fetc",
		"--help":                       "--help",
		"'; --":                        "=27=3B=20--",
		"{{x}}":                        "=7B=7Bx=7D=7D",
		"1e309":                        "1e309",
		"раypal":                       "=D1=80=D0=B0ypal",
		strings.Repeat("x", 128):       strings.Repeat("x", 128),
		strings.Repeat("é", 33) + "ab": strings.Repeat("=C3=A9", 33) + "ab",
	}
	for id, want := range tests {
		token, err := store.EncodeToken(id)
		if err != nil || token != want {
			t.Errorf("EncodeToken(%q) = %q, %v, want %q", id, token, err, want)
		}
		back, err := store.DecodeToken(want)
		if err != nil || back != id {
			t.Errorf("DecodeToken(%q) = %q, %v, want %q", want, back, err, id)
		}
	}
}

func TestEncodeTokenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why, id string
		want    error
	}{
		{"empty", "", store.ErrInvalid},
		{"129 bytes", strings.Repeat("x", 129), store.ErrTooLarge},
		{"a megabyte", strings.Repeat("x", 1<<20), store.ErrTooLarge},
		{"201 bytes when encoded", strings.Repeat(".", 66) + "abc", store.ErrTooLarge},
		{"NUL", "a\x00b", store.ErrInvalid},
		{"line break", "a\nb", store.ErrInvalid},
		{"tab", "a\tb", store.ErrInvalid},
		{"DEL", "a\x7f", store.ErrInvalid},
		{"C1 control", "a\u0085b", store.ErrInvalid},
		{"not UTF-8", "a\xffb", store.ErrInvalid},
		{"half a character", "a\xc3", store.ErrInvalid},
		{"overlong", "a\xc0\xaf", store.ErrInvalid},
		{"surrogate", "\xed\xa0\x80", store.ErrInvalid},
		{"not normal form C", "e\u0301", store.ErrInvalid},
		{"right-to-left override", "a\u202eb", store.ErrInvalid},
		{"right-to-left isolate", "a\u2067b", store.ErrInvalid},
		{"zero-width space", "a\u200bb", store.ErrInvalid},
		{"zero-width joiner", "a\u200db", store.ErrInvalid},
		{"byte order mark", "\ufeffa", store.ErrInvalid},
		{"soft hyphen", "a\u00adb", store.ErrInvalid},
		{"line separator", "a\u2028b", store.ErrInvalid},
		{"tag", "a\U000e0041", store.ErrInvalid},
	}
	for _, test := range tests {
		if token, err := store.EncodeToken(test.id); !errors.Is(err, test.want) || token != "" {
			t.Errorf("%s: EncodeToken = %q, %v, want %v", test.why, token, err, test.want)
		}
	}
}

func TestDecodeTokenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why, token string
		want       error
	}{
		{"empty", "", store.ErrInvalid},
		{"not encoded", "a.b", store.ErrInvalid},
		{"wildcard", "*", store.ErrInvalid},
		{"lower case escape", "a=2eb", store.ErrInvalid},
		{"needless escape", "=41", store.ErrInvalid},
		{"half an escape", "a=2", store.ErrInvalid},
		{"only the sign", "=", store.ErrInvalid},
		{"no hexadecimal", "=GG", store.ErrInvalid},
		{"escaped NUL", "a=00", store.ErrInvalid},
		{"escaped half character", "=C3", store.ErrInvalid},
		{"escaped denormal form", "e=CC=81", store.ErrInvalid},
		{"a plain token too long for an id", strings.Repeat("x", 129), store.ErrTooLarge},
		{"201 bytes", strings.Repeat("=2E", 67), store.ErrTooLarge},
	}
	for _, test := range tests {
		if id, err := store.DecodeToken(test.token); !errors.Is(err, test.want) || id != "" {
			t.Errorf("%s: DecodeToken(%q) = %q, %v, want %v", test.why, test.token, id, err, test.want)
		}
	}
}

// encodedToken is what may stand in a subject and in a key of a KV bucket.
var encodedToken = regexp.MustCompile(`^[A-Za-z0-9_=-]{1,200}$`)

func FuzzToken(f *testing.F) {
	for _, seed := range []string{"a", "a.b", "*", ">", "é", "e\u0301", "a\x00", "=41", "\xff", "=C3=A9", strings.Repeat("x", 128), "\U0001F468\u200d\U0001F469"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if token, err := store.EncodeToken(id); err == nil {
			if !encodedToken.MatchString(token) {
				t.Fatalf("EncodeToken(%q) = %q, which is no token", id, token)
			}
			back, err := store.DecodeToken(token)
			if err != nil || back != id { // so no two ids have one token
				t.Fatalf("DecodeToken(%q) = %q, %v, want %q", token, back, err, id)
			}
		} else if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
			t.Fatalf("EncodeToken(%q): %v has no kind", id, err)
		}
		// The same bytes as a token that somebody sends.
		if decoded, err := store.DecodeToken(id); err == nil {
			if again, err := store.EncodeToken(decoded); err != nil || again != id {
				t.Fatalf("DecodeToken(%q) = %q, whose token is %q, %v", id, decoded, again, err)
			}
		}
	})
}
