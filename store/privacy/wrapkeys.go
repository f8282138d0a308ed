package privacy

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/annals-go/annals/store"
)

// wrapKeys are named wrapping keys, the last of them current.
type wrapKeys struct {
	keys    map[string][]byte
	current string
}

const (
	wrapVersion = 1
	maxWrapKeys = 1024
)

// parseWrapKeys reads lines of a name and a key in base64. Empty lines, and those that
// begin with #, are passed over. Errors never hold a key.
func parseWrapKeys(text []byte) (*wrapKeys, error) {
	w := &wrapKeys{keys: map[string][]byte{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := w.add(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if w.current == "" {
		return nil, fmt.Errorf("there is no key in it")
	}
	return w, nil
}

func (w *wrapKeys) add(fields []string) error {
	if len(fields) != 2 {
		return fmt.Errorf("want a name and a key in base64")
	}
	name := fields[0]
	if invalid, is := errors.AsType[*store.InvalidError](store.ValidateName("name", name)); is {
		return fmt.Errorf("the name of a wrapping key, which comes before the key, is none: %s", invalid.Reason) // it may be the key
	}
	if _, twice := w.keys[name]; twice {
		return fmt.Errorf("the name %q comes twice", name)
	}
	if len(w.keys) == maxWrapKeys {
		return fmt.Errorf("there are more than %d keys", maxWrapKeys)
	}
	key, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(key) != keyBytes {
		return fmt.Errorf("key %q is not base64 of %d bytes", name, keyBytes)
	}
	w.keys[name], w.current = key, name
	return nil
}

// follows refuses keys of which one has a name that was another's before: what that
// one has wrapped could not be read any more, and nobody else would know the new one.
func (w *wrapKeys) follows(before *wrapKeys) error {
	if before == nil {
		return nil
	}
	for name, key := range w.keys {
		if was, had := before.keys[name]; had && !bytes.Equal(was, key) {
			return fmt.Errorf("key %q has other bytes than it had: give a new key a name of its own", name)
		}
	}
	return nil
}

// find returns the key of a name.
func (w *wrapKeys) find(name string) ([]byte, error) {
	key, ok := w.keys[name]
	if !ok {
		return nil, fmt.Errorf("wrapping key %q: %w", name, store.ErrNotFound)
	}
	return key, nil
}

// wrap is [Wrapper.Wrap] under a key that is at hand.
func (w *wrapKeys) wrap(by string, key, bound []byte) ([]byte, error) {
	aead, err := w.aead(by)
	if err != nil {
		return nil, err
	}
	return seal([]byte{wrapVersion}, aead, key, wrapBinding(by, bound)), nil
}

// unwrap is [Wrapper.Unwrap] under a key that is at hand.
func (w *wrapKeys) unwrap(by string, wrapped, bound []byte) ([]byte, error) {
	aead, err := w.aead(by)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 || wrapped[0] != wrapVersion {
		return nil, fmt.Errorf("%w: a wrapped key of another version", store.ErrDamaged)
	}
	key, ok := unseal(nil, aead, wrapped[1:], wrapBinding(by, bound))
	if !ok {
		return nil, fmt.Errorf("%w: a key that wrapping key %q did not wrap, or not for this subject", store.ErrDamaged, by)
	}
	return key, nil
}

func wrapBinding(by string, bound []byte) []byte {
	return binding(nil).text("annals wrap 1", by).bytes(bound)
}

func (w *wrapKeys) aead(by string) (cipher.AEAD, error) {
	key, err := w.find(by)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}
