-- What came of a redelivery: nothing means that there is no such delivery.
--
-- ?1 delivery   ?2 this write's id   ?3 this write's hash
-- Plan: INTEGER PRIMARY KEY, deliveries_by_request
-- Row: {id, over, mine, item}; over says whether the one that was to be sent once more is done with; mine and item are null if
--      nothing was written; mine says whether it is of this very request
SELECT json_object('id', o.id, 'over', json(iif(o.state = 'delivered' OR o.state = 'failed', 'true', 'false')),
                   'mine', CASE WHEN d.id IS NOT NULL THEN iif(d.request_hash = ?3, 'yes', 'reused') END,
                   'item', json(d.delivery)) AS row
  FROM deliveries o
 CROSS JOIN webhooks w ON w.id = o.webhook_id AND w.deleted_at IS NULL AND w.github IS NULL
  LEFT JOIN shown_deliveries d ON d.request_id = ?2
 WHERE o.id = ?1;
