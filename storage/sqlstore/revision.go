package sqlstore

import (
	"context"
	"log/slog"
	"time"
)

// revisionInterval is how often a node looks whether clients, APIs, users or keys
// changed.
const revisionInterval = time.Second

// Watch reads the revision once a second until ctx ends. A change drops what this
// process keeps in memory and calls each of changed, for caches elsewhere; so does the
// first look, because nobody knows what happened before it.
func (s *Store) Watch(ctx context.Context, changed ...func(context.Context)) {
	ticker := time.NewTicker(revisionInterval)
	defer ticker.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		revision, err := s.refresh(ctx)
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the revision cannot be read", slog.Any("error", err))
			continue
		}
		if revision != last {
			for _, f := range changed {
				f(ctx)
			}
		}
		last = revision
	}
}

// Refresh reads the revision once and drops what changed.
func (s *Store) Refresh(ctx context.Context) error {
	_, err := s.refresh(ctx)
	return err
}

func (s *Store) refresh(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, revisionInterval)
	defer cancel()
	revision, err := s.revision(ctx)
	if err == nil {
		s.registry.confirm(revision, s.now())
	}
	return revision, err
}

func (s *Store) revision(ctx context.Context) (int64, error) {
	var value int64
	err := s.reader.WithContext(ctx).Raw("SELECT value FROM revision WHERE id = 1").Take(&value).Error
	return value, failed("read the revision", err)
}
