package backup

import (
	"context"
	"path"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// refuseBackups refuses to keep keys where backups of the namespace are: whoever copies
// these, and keeps the copies, has the keys of all who are forgotten afterwards.
func refuseBackups(ctx context.Context, v segment.Vault, namespace string) error {
	complete, left, err := ids(ctx, v, namespace)
	if err != nil || len(complete)+len(left) == 0 {
		return err
	}
	return &store.InvalidError{What: "place for keys", Value: v.String(), Reason: "it has backups of " + namespace + ", of which older copies are kept: keys are kept apart from them"}
}

// refuseKeys refuses to keep backups where keys of the namespace are.
func refuseKeys(ctx context.Context, v segment.Vault, namespace string) error {
	found, err := v.List(ctx, path.Join(namespace, keysFolder)+"/")
	if err != nil || len(found) == 0 {
		return err
	}
	return &store.InvalidError{What: "place for backups", Value: v.String(), Reason: "it has the keys of " + namespace + ", of which no older copies may be kept: " + found[0].Name}
}
