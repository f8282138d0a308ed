package kv_test

import (
	"context"

	"github.com/annals-go/annals/store"
)

type unfiltered struct{ store.Log }

func (u unfiltered) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	f.Types = nil
	return u.Log.Follow(ctx, f)
}
