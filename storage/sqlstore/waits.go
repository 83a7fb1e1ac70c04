package sqlstore

import (
	"context"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Failures returns the wrong second factors of those of some users who have any.
func (s *Store) Failures(ctx context.Context, userIDs []string) (map[string]throttle.Failures, error) {
	var rows []userFailuresRow
	err := s.reader.WithContext(ctx).Where("user_id IN ?", userIDs).Find(&rows).Error
	all := map[string]throttle.Failures{}
	for _, r := range rows {
		all[r.UserID] = r.failures()
	}
	return all, failed("read the failures of users", err)
}

// PushHistories returns what came of the pushes of those of some users who had any.
func (s *Store) PushHistories(ctx context.Context, userIDs []string) (map[string]oob.History, error) {
	var rows []pushesRow
	err := s.reader.WithContext(ctx).Where("user_id IN ?", userIDs).Find(&rows).Error
	all := map[string]oob.History{}
	for _, r := range rows {
		all[r.UserID] = r.history()
	}
	return all, failed("read the pushes of users", err)
}
