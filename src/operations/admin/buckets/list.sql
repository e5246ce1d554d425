-- What a database has of each bucket, and what it knows of them.
--
-- Plan: projects_by_bucket (bucket>?), SCAN b (it has a row for each bucket at most)
-- Row: {projects: {bucket: how many}, known: [[bucket, state, moved_to, frozen, to, phase], ...]}
SELECT json_object(
           'projects', json((SELECT json_group_object(s.bucket, s.projects)
                               FROM (SELECT bucket, count(*) AS projects FROM projects WHERE bucket >= '00' GROUP BY bucket) s)),
           'known', json((SELECT json_group_array(json_array(b.bucket, b.state, b.moved_to, b.frozen, b.progress ->> '$.to',
                                                             b.progress ->> '$.phase'))
                            FROM buckets b))) AS row;
