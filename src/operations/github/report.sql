-- The runs that a delivery has cancelled. It decides nothing.
--
-- ?1 delivery
-- Plan: (request_id=?), INTEGER PRIMARY KEY
-- Row, for each: {id, news}; news is for the hub
SELECT json_object('id', r.id, 'news', json(r.news)) AS row
  FROM bulk_cancels b, json_each(b.run_ids) j
  JOIN changed_runs r ON r.id = j.value
 WHERE b.request_id = 'github:' || ?1 AND r.cancel_request_id = b.request_id;
