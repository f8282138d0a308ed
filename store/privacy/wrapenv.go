package privacy

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/annals-go/annals/store"
)

// Env is a [Wrapper] whose keys are in an environment variable: what a [File] has, with
// commas or line ends between the keys.
type Env struct{ keys *wrapKeys }

var _ Wrapper = (*Env)(nil)

// OpenEnv reads wrapping keys from the environment variable of that name, once.
func OpenEnv(name string) (*Env, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("open wrapping keys: environment variable %s: %w", name, store.ErrNotFound)
	}
	keys, err := parseWrapKeys([]byte(strings.ReplaceAll(text, ",", "\n")))
	if err != nil {
		return nil, fmt.Errorf("open wrapping keys: environment variable %s: %w", name, err)
	}
	return &Env{keys: keys}, nil
}

// Current implements [Wrapper].
func (e *Env) Current() string { return e.keys.current }

// Wrap implements [Wrapper].
func (e *Env) Wrap(_ context.Context, by string, key, bound []byte) ([]byte, error) {
	return e.keys.wrap(by, key, bound)
}

// Unwrap implements [Wrapper].
func (e *Env) Unwrap(_ context.Context, by string, wrapped, bound []byte) ([]byte, error) {
	return e.keys.unwrap(by, wrapped, bound)
}
