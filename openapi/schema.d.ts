// Made from openapi.json by `npm run openapi`.
export interface paths {
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get this document
         * @description The OpenAPI document of the service; `/docs` shows it and lets you try it.
         */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Is the process alive?
         * @description Answers as long as the process can answer at all. Restart it when it does not.
         */
        get: operations["checkLiveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Can backups and restores be made?
         * @description Checks the database, the uploads, and the repository and its free space. `errors` names each that is not available, with the reason.
         */
        get: operations["checkReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a backup
         * @description Makes a consistent archive of the database, the uploaded files, or both, and answers when it is durable. A client that goes away does not stop it.
         */
        post: operations["createBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List backups
         * @description The backups of the organization, newest first. When there are more, the Link header with rel="next" holds the address of the next page.
         */
        get: operations["listBackups"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Upload an archive
         * @description Brings back an archive that was downloaded, as the body or as the file `archive` of a form. It is checked whole before it becomes a backup, and it must be of the organization.
         */
        post: operations["uploadBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/restores": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List restores
         * @description The restores and rehearsals of the organization with their reports, newest first, and whether each can be undone. When there are more, the Link header with rel="next" holds the address of the next page. The last thousand are kept.
         */
        get: operations["listRestores"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/restores/{restoreId}/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undo a restore
         * @description Swaps back to the state before the restore, as long as its checkpoint is kept. What was written since the restore is lost.
         */
        post: operations["undoRestore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/tenancy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show how tables belong to organizations
         * @description How a backup of one organization classifies each table, by which foreign keys, and what makes such a backup impossible or partial. Says nothing of any row.
         */
        get: operations["getTenancy"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List jobs
         * @description The running job of the organization and the last hundred finished ones, which a restart of the service keeps. A job that the service was killed in is in no list, but a restore has its job's id, and so has a backup that was made.
         */
        get: operations["listJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/jobs/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a job
         * @description The state of a job, and once it has ended its result or error.
         */
        get: operations["getJob"];
        put?: never;
        post?: never;
        /**
         * Cancel a job
         * @description Asks a running job to stop. It ends, with the state `cancelled`, when it has cleaned up after itself; past its commit point it can't be cancelled.
         */
        delete: operations["cancelJob"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/jobs/{jobId}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Watch a job
         * @description Server-sent events, each with the job as JSON in its data: `progress` with the job each time it changes, and at last `result` with the finished job. A finished job sends its result at once.
         */
        get: operations["watchJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/{backupId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a backup
         * @description One backup of the organization.
         */
        get: operations["getBackup"];
        put?: never;
        post?: never;
        /**
         * Delete a backup
         * @description Removes the archive and its record for good. A restore whose checkpoint it is can't be undone any more. Refused while a job of the organization is running.
         */
        delete: operations["deleteBackup"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/{backupId}/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download an archive
         * @description The archive as it is stored, or a range of it, so that an interrupted download can go on. HEAD answers the headers alone.
         */
        get: operations["downloadBackup"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backup/restore/{backupId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restore a backup
         * @description Puts a backup back as one transaction: either all of it, or nothing. A client that goes away does not stop it.
         */
        post: operations["restoreBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @example {
         *       "object": "backup",
         *       "id": "7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54",
         *       "timestamp": "2026-03-14T09:26:53.589Z",
         *       "createdBy": "olivia@example.com",
         *       "organizationId": "acme",
         *       "type": "full",
         *       "size": 48219004,
         *       "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
         *       "trusted": true,
         *       "signedBy": "5f0c3a9e7d21b846",
         *       "databaseType": "embedded",
         *       "databaseScope": "instance",
         *       "fileStorageType": "local",
         *       "includesDatabase": true,
         *       "includesFiles": true,
         *       "description": "Before the inventory import",
         *       "version": "0.1.0",
         *       "counts": {
         *         "tables": 39,
         *         "rows": 206114,
         *         "files": 812,
         *         "bytes": 61204733
         *       },
         *       "warnings": [],
         *       "state": "available"
         *     }
         */
        Backup: {
            /**
             * @description Tells it from the other things that are answered (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            object: "backup";
            /** Format: uuid */
            id: string;
            /**
             * Format: date-time
             * @description When the snapshot was taken
             */
            timestamp: string;
            /** @description E-mail of the user who asked for it, else the user id */
            createdBy: string;
            organizationId: string;
            /** @enum {string} */
            type: "full" | "database" | "files";
            /** @description Bytes of the archive */
            size: number;
            /** @description SHA-256 of the archive, in hex */
            checksum: string;
            /** @description The archive carries a signature with one of this installation's present keys; a restore looks again */
            trusted: boolean;
            /** @description Tells which key: the first 16 hex digits of HMAC-SHA256(key, "key-id") */
            signedBy?: string;
            /** @enum {string} */
            databaseType: "embedded" | "external";
            /** @description null when the database is not included */
            databaseScope: ("instance" | "organization") | null;
            /** @enum {string} */
            fileStorageType: "local" | "smb";
            includesDatabase: boolean;
            includesFiles: boolean;
            description?: string;
            /**
             * Format: uuid
             * @description The restore that made this backup, to be able to undo it
             */
            checkpointOf?: string;
            /** @description The release of dumbassets-backup that made it */
            version: string;
            counts: {
                tables: number;
                rows: number;
                files: number;
                /** @description Bytes of the uploaded files, before compression */
                bytes: number;
            };
            /** @description Absent without a database, and in backups that were made before there was one */
            schemaProof?: {
                /**
                 * @description Whether the schema of the dump was loaded into an empty database as a restore loads it, without rows
                 * @enum {string}
                 */
                state: "loaded" | "failed" | "not-tried";
                /** @description SHA-256 of the schema and of what it was loaded with: equal schemas are loaded once */
                fingerprint?: string;
                /** @description The objects that could not be loaded */
                failures?: {
                    object: string;
                    message: string;
                }[];
                /** @description Why it was not tried */
                reason?: string;
            };
            warnings: string[];
            /**
             * @description missing: the record is there, the archive is not
             * @enum {string}
             */
            state: "available" | "missing";
        };
        /**
         * @example {
         *       "object": "job",
         *       "id": "c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52",
         *       "kind": "create",
         *       "organizationId": "acme",
         *       "startedBy": "olivia@example.com",
         *       "state": "running",
         *       "phase": "files",
         *       "bytesDone": 31457280,
         *       "bytesTotal": 61204733,
         *       "cancellable": true,
         *       "startedAt": "2026-03-14T09:26:53.589Z"
         *     }
         */
        Job: {
            /**
             * @description Tells it from the other things that are answered
             * @constant
             */
            object: "job";
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            kind: "create" | "import" | "restore" | "undo" | "delete";
            organizationId: string;
            /** Format: uuid */
            backupId?: string;
            /** @description The user who asked for it */
            startedBy: string;
            /** @enum {string} */
            state: "queued" | "running" | "succeeded" | "failed" | "cancelled";
            /** @description What is being done now */
            phase: string;
            bytesDone: number;
            /** @description null while it is not known */
            bytesTotal: number | null;
            cancellable: boolean;
            /** Format: date-time */
            startedAt: string;
            /** Format: date-time */
            finishedAt?: string;
            /** @description What the operation itself would have answered */
            result?: components["schemas"]["Backup"] | components["schemas"]["RestoreResult"] | components["schemas"]["Deletion"];
            /** @description Why it failed or was cancelled */
            error?: components["schemas"]["JobError"];
        };
        TableReport: {
            /** @description schema.name */
            table: string;
            /** @description Rows after the restore */
            rows?: number;
            added?: number;
            changed?: number;
            removed?: number;
            unchanged?: number;
            /**
             * @description content: the table has no key, so a changed row counts as one removed and one added
             * @enum {string}
             */
            comparedBy?: "key" | "content";
            /** @description Such as: the table exists on one side only */
            note?: string;
        };
        CodeChange: {
            /** @description Such as: trigger audit on public.assets */
            object: string;
            /** @enum {string} */
            change: "added" | "changed" | "removed";
        };
        FolderReport: {
            /** @description Below the organization's folder; "." is the folder itself */
            folder: string;
            /** @description Files after the restore */
            files?: number;
            added?: number;
            changed?: number;
            removed?: number;
            unchanged?: number;
            /** @description Up to ten names, each with +, ~ or - before it */
            sample?: string[];
        };
        /**
         * @example {
         *       "database": {
         *         "mode": "swap",
         *         "scope": "instance",
         *         "tables": [
         *           {
         *             "table": "public.assets",
         *             "rows": 1204,
         *             "added": 12,
         *             "changed": 3,
         *             "removed": 0,
         *             "unchanged": 1189,
         *             "comparedBy": "key"
         *           }
         *         ],
         *         "missingRoles": [],
         *         "missingExtensions": []
         *       },
         *       "files": {
         *         "folders": [
         *           {
         *             "folder": ".",
         *             "files": 812,
         *             "added": 1,
         *             "changed": 0,
         *             "removed": 2,
         *             "unchanged": 811,
         *             "sample": [
         *               "+ photos/forklift.jpg"
         *             ]
         *           }
         *         ]
         *       },
         *       "disk": [
         *         {
         *           "place": "database",
         *           "neededBytes": 92000000,
         *           "availableBytes": 51000000000
         *         }
         *       ],
         *       "outageMs": 84,
         *       "durationMs": 5120,
         *       "checkpointUntil": "2026-03-15T10:00:05.120Z",
         *       "warnings": []
         *     }
         */
        RestoreReport: {
            database: null | {
                /** @enum {string} */
                mode: "swap" | "in-place" | "merge";
                /** @enum {string} */
                scope: "instance" | "organization";
                tables: components["schemas"]["TableReport"][];
                /** @description Dry run of a whole database: functions, triggers, rules, views, policies and default privileges that would be others than now */
                code?: components["schemas"]["CodeChange"][];
                missingRoles: string[];
                missingExtensions: string[];
            };
            files: null | {
                folders: components["schemas"]["FolderReport"][];
            };
            disk: {
                place: string;
                neededBytes: number;
                availableBytes: number;
            }[];
            /** @description How long clients could not use the database at the commit */
            outageMs?: number;
            durationMs: number;
            /**
             * Format: date-time
             * @description Until when the restore can be undone
             */
            checkpointUntil?: string;
            warnings: string[];
        };
        /**
         * @example {
         *       "object": "restore",
         *       "message": "Restore completed successfully",
         *       "backupId": "7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54",
         *       "restoreId": "3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83",
         *       "restoredAt": "2026-03-14T10:00:05.120Z",
         *       "dryRun": false,
         *       "report": {
         *         "database": {
         *           "mode": "swap",
         *           "scope": "instance",
         *           "tables": [
         *             {
         *               "table": "public.assets",
         *               "rows": 1204,
         *               "added": 12,
         *               "changed": 3,
         *               "removed": 0,
         *               "unchanged": 1189,
         *               "comparedBy": "key"
         *             }
         *           ],
         *           "missingRoles": [],
         *           "missingExtensions": []
         *         },
         *         "files": {
         *           "folders": [
         *             {
         *               "folder": ".",
         *               "files": 812,
         *               "added": 1,
         *               "changed": 0,
         *               "removed": 2,
         *               "unchanged": 811,
         *               "sample": [
         *                 "+ photos/forklift.jpg"
         *               ]
         *             }
         *           ]
         *         },
         *         "disk": [
         *           {
         *             "place": "database",
         *             "neededBytes": 92000000,
         *             "availableBytes": 51000000000
         *           }
         *         ],
         *         "outageMs": 84,
         *         "durationMs": 5120,
         *         "checkpointUntil": "2026-03-15T10:00:05.120Z",
         *         "warnings": []
         *       }
         *     }
         */
        RestoreResult: {
            /**
             * @description Tells it from the other things that are answered (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            object: "restore";
            message: string;
            /** Format: uuid */
            backupId: string;
            /** Format: uuid */
            restoreId: string;
            /** Format: date-time */
            restoredAt: string;
            dryRun: boolean;
            report: components["schemas"]["RestoreReport"];
        };
        /**
         * @example {
         *       "restoreId": "3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83",
         *       "backupId": "7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54",
         *       "organizationId": "acme",
         *       "startedBy": "olivia@example.com",
         *       "startedAt": "2026-03-14T10:00:00.000Z",
         *       "state": "done",
         *       "dryRun": false,
         *       "undoable": true,
         *       "report": {
         *         "database": {
         *           "mode": "swap",
         *           "scope": "instance",
         *           "tables": [
         *             {
         *               "table": "public.assets",
         *               "rows": 1204,
         *               "added": 12,
         *               "changed": 3,
         *               "removed": 0,
         *               "unchanged": 1189,
         *               "comparedBy": "key"
         *             }
         *           ],
         *           "missingRoles": [],
         *           "missingExtensions": []
         *         },
         *         "files": {
         *           "folders": [
         *             {
         *               "folder": ".",
         *               "files": 812,
         *               "added": 1,
         *               "changed": 0,
         *               "removed": 2,
         *               "unchanged": 811,
         *               "sample": [
         *                 "+ photos/forklift.jpg"
         *               ]
         *             }
         *           ]
         *         },
         *         "disk": [
         *           {
         *             "place": "database",
         *             "neededBytes": 92000000,
         *             "availableBytes": 51000000000
         *           }
         *         ],
         *         "outageMs": 84,
         *         "durationMs": 5120,
         *         "checkpointUntil": "2026-03-15T10:00:05.120Z",
         *         "warnings": []
         *       }
         *     }
         */
        RestoreSummary: {
            /** Format: uuid */
            restoreId: string;
            /** Format: uuid */
            backupId: string;
            organizationId: string;
            startedBy: string;
            /** Format: date-time */
            startedAt: string;
            /** @enum {string} */
            state: "preparing" | "committing" | "done" | "rolling-back" | "rolled-back" | "undoing" | "undone" | "rehearsed";
            dryRun: boolean;
            /** @description A checkpoint is there, so the restore can be undone */
            undoable: boolean;
            report?: components["schemas"]["RestoreReport"];
            error?: string;
        };
        /**
         * @example {
         *       "tenantTable": "public.organizations",
         *       "tables": [
         *         {
         *           "table": "public.organizations",
         *           "class": "root",
         *           "path": [],
         *           "key": [
         *             "id"
         *           ]
         *         },
         *         {
         *           "table": "public.assets",
         *           "class": "direct",
         *           "path": [
         *             "public.assets (organizationId) → public.organizations (id)"
         *           ],
         *           "key": [
         *             "id"
         *           ]
         *         },
         *         {
         *           "table": "public.manufacturers",
         *           "class": "global",
         *           "path": [],
         *           "key": [
         *             "id"
         *           ]
         *         }
         *       ],
         *       "obstacles": [],
         *       "notes": [
         *         "No foreign key leads from these tables to the tenant table, so they are in no backup of one organization: public.manufacturers."
         *       ]
         *     }
         */
        TenancyReport: {
            tenantTable: string | null;
            tables: {
                /** @description schema.name */
                table: string;
                /** @enum {string} */
                class: "root" | "direct" | "chain" | "partial" | "declared" | "global" | "excluded";
                /** @description The foreign keys that decide the owner, from the table to the tenant table */
                path: string[];
                /** @description The columns that tell its rows apart */
                key: string[] | null;
            }[];
            /** @description What makes a backup of one organization impossible */
            obstacles: string[];
            /** @description What is not in a backup of one organization, or needs care */
            notes: string[];
        };
        /**
         * @example {
         *       "message": "Backup deleted successfully",
         *       "backupId": "7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54"
         *     }
         */
        DeleteResult: {
            /** @constant */
            message: "Backup deleted successfully";
            /** Format: uuid */
            backupId: string;
        };
        Deletion: {
            /**
             * @description Tells it from the other things that are answered (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            object: "deletion";
            /** @constant */
            message: "Backup deleted successfully";
            /** Format: uuid */
            backupId: string;
        };
        /**
         * @description What went wrong, for programs: a code stays the same between releases, and new ones come
         * @enum {string}
         */
        ErrorCode: "BAD_REQUEST" | "VALIDATION_FAILED" | "UNAUTHORIZED" | "FORBIDDEN" | "NOT_FOUND" | "ORGANIZATION_NOT_FOUND" | "METHOD_NOT_ALLOWED" | "BACKUP_NOT_FOUND" | "BACKUP_EXISTS" | "RESTORE_NOT_FOUND" | "JOB_NOT_FOUND" | "ORGANIZATION_ID_INVALID" | "JOB_CONFLICT" | "JOB_CANCELLED" | "SERVICE_STOPPING" | "OTHER_ORGANIZATIONS_AFFECTED" | "TENANCY_VIOLATION" | "TENANCY_UNSUPPORTED" | "SCHEMA_DRIFT" | "RESTORE_CONFLICT" | "RESTORE_UNFINISHED" | "RESTORE_NOT_UNDOABLE" | "CHECKPOINT_IMPOSSIBLE" | "PREFLIGHT_FAILED" | "DATABASE_BUSY" | "CHECKSUM_MISMATCH" | "ARCHIVE_INVALID" | "ARCHIVE_MISSING" | "ARCHIVE_UNTRUSTED" | "ARCHIVE_VERSION_UNSUPPORTED" | "BACKUP_INCOMPATIBLE" | "DUMP_INVALID" | "LOAD_LIMIT_EXCEEDED" | "PAYLOAD_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "RANGE_NOT_SATISFIABLE" | "RATE_LIMITED" | "DATABASE_UNAVAILABLE" | "DATABASE_TOOLS_MISSING" | "DATABASE_ERROR" | "DUMP_FAILED" | "STORAGE_UNAVAILABLE" | "REPOSITORY_UNAVAILABLE" | "JOURNAL_DAMAGED" | "DISK_FULL" | "CONFIG_INVALID" | "INTERNAL_ERROR";
        ErrorResponse: {
            /** @description The HTTP status */
            statusCode: number;
            /** @description The phrase of the HTTP status */
            error: string;
            code: components["schemas"]["ErrorCode"];
            /** @description Which case of the code it is, for programs, such as overlapping-entries: it stays when the message is reworded, and new ones come */
            reason: string;
            /** @description What went wrong, for people */
            message: string;
            /** @description What can be done about it */
            remedy?: string;
            /** @description One item for each thing that is wrong, when there can be several */
            errors?: {
                /** @description Where it is, such as body.dryRun */
                field?: string;
                /** @description Which case of the code it is, for programs, such as overlapping-entries: it stays when the message is reworded, and new ones come */
                reason: string;
                message: string;
            }[];
        };
        JobError: {
            code: components["schemas"]["ErrorCode"];
            /** @description Which case of the code it is, for programs, such as overlapping-entries: it stays when the message is reworded, and new ones come */
            reason: string;
            /** @description What went wrong, for people */
            message: string;
            /** @description What can be done about it */
            remedy?: string;
            /** @description One item for each thing that is wrong, when there can be several */
            errors?: {
                /** @description Where it is, such as body.dryRun */
                field?: string;
                /** @description Which case of the code it is, for programs, such as overlapping-entries: it stays when the message is reworded, and new ones come */
                reason: string;
                message: string;
            }[];
        };
        /** @description It is alive */
        Liveness: {
            /** @constant */
            status: "alive";
        };
        /** @description Everything is available */
        Readiness: {
            /** @constant */
            status: "ready";
            /** @constant */
            database: "available";
            /** @constant */
            storage: "available";
            /** @constant */
            repository: "available";
            /** @description What is to be repaired and keeps nothing from working: archives in BACKUP_DIR that are not in the list of backups */
            warnings?: {
                message: string;
                remedy: string;
            }[];
        };
        CreateRequest: {
            /**
             * @description What the backup holds: the database, the uploaded files, or both
             * @default full
             * @enum {string}
             */
            type?: "full" | "database" | "files";
            /** @description A note for people */
            description?: string;
        };
        UploadForm: {
            /**
             * Format: binary
             * @description The archive
             */
            archive: string;
        };
        /** @description an undo takes no fields and has no dry run */
        UndoRequest: Record<string, never>;
        RestoreRequest: {
            /**
             * @description Check the SHA-256 of the archive before anything else
             * @default true
             */
            validateChecksum?: boolean;
            /**
             * @description Keep a checkpoint to go back to; without it the former state is dropped as soon as the restore is committed
             * @default true
             */
            rollbackOnFailure?: boolean;
            /**
             * @description Rehearse only: everything but the commit, reported as a diff
             * @default false
             */
            dryRun?: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    checkLiveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is alive */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "alive"
                     *     }
                     */
                    "application/json": components["schemas"]["Liveness"];
                };
            };
        };
    };
    checkReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Everything is available */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready",
                     *       "database": "available",
                     *       "storage": "available",
                     *       "repository": "available"
                     *     }
                     */
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is not enough disk space. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    createBackup: {
        parameters: {
            query?: never;
            header?: {
                /** @description `respond-async` answers 202 with the job at once instead of waiting for its end (RFC 7240) */
                Prefer?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "type": "full"
                 *     }
                 */
                "application/json": components["schemas"]["CreateRequest"];
            };
        };
        responses: {
            /** @description The backup */
            201: {
                headers: {
                    /** @description Address of the backup */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"];
                };
            };
            /** @description The job that makes the backup */
            202: {
                headers: {
                    /** @description Address of the job */
                    Location?: string;
                    /** @description respond-async */
                    "Preference-Applied"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is not enough disk space. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listBackups: {
        parameters: {
            query?: {
                /** @description Only backups of this type */
                type?: "full" | "database" | "files";
                /** @description Backups at most in one answer */
                limit?: number;
                /** @description Where to go on, from the Link header of the page before */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The backups, newest first */
            200: {
                headers: {
                    /** @description Address of the next page, with rel="next" */
                    Link?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"][];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    uploadBackup: {
        parameters: {
            query?: {
                /** @description SHA-256 of the archive, 64 digits in hex */
                checksum?: string;
            };
            header?: {
                /** @description SHA-256 of the archive (RFC 9530): sha-256=:<base64 of 32 bytes>: */
                "Repr-Digest"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["UploadForm"];
                "application/zip": string;
            };
        };
        responses: {
            /** @description The backup */
            201: {
                headers: {
                    /** @description Address of the backup */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The archive is damaged, or of a kind that can't be restored here. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is not enough disk space. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listRestores: {
        parameters: {
            query?: {
                /** @description Restores at most in one answer */
                limit?: number;
                /** @description Where to go on, from the Link header of the page before */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The restores, newest first */
            200: {
                headers: {
                    /** @description Address of the next page, with rel="next" */
                    Link?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RestoreSummary"][];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    undoRestore: {
        parameters: {
            query?: never;
            header?: {
                /** @description `respond-async` answers 202 with the job at once instead of waiting for its end (RFC 7240) */
                Prefer?: string;
            };
            path: {
                /**
                 * @description Id of the restore
                 * @example 3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83
                 */
                restoreId: string;
            };
            cookie?: never;
        };
        /** @description an undo takes no fields and has no dry run */
        requestBody?: {
            content: {
                "application/json": components["schemas"]["UndoRequest"];
            };
        };
        responses: {
            /** @description What was put back */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RestoreResult"];
                };
            };
            /** @description The job that undoes it */
            202: {
                headers: {
                    /** @description Address of the job */
                    Location?: string;
                    /** @description respond-async */
                    "Preference-Applied"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The archive is damaged, or of a kind that can't be restored here. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is not enough disk space. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getTenancy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tables, the obstacles and the notes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TenancyReport"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listJobs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The jobs, newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"][];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the job
                 * @example c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52
                 */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    cancelJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the job
                 * @example c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52
                 */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job, which is about to end */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    watchJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the job
                 * @example c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52
                 */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getBackup: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the backup
                 * @example 7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54
                 */
                backupId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The backup */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteBackup: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the backup
                 * @example 7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54
                 */
                backupId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is deleted */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteResult"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    downloadBackup: {
        parameters: {
            query?: never;
            header?: {
                /** @description One range of bytes, such as bytes=0-1048575 */
                Range?: string;
                /** @description ETag: the range counts only for this archive */
                "If-Range"?: string;
                /** @description ETags: 304 when the archive is one of them */
                "If-None-Match"?: string;
            };
            path: {
                /**
                 * @description Id of the backup
                 * @example 7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54
                 */
                backupId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive */
            200: {
                headers: {
                    /** @description `bytes` */
                    "Accept-Ranges"?: string;
                    /** @description The SHA-256 of the archive in hex, quoted */
                    ETag?: string;
                    /** @description The file name of the archive */
                    "Content-Disposition"?: string;
                    /** @description The SHA-256 of the whole archive (RFC 9530) */
                    "Repr-Digest"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/zip": string;
                };
            };
            /** @description The range of the archive */
            206: {
                headers: {
                    /** @description `bytes` */
                    "Accept-Ranges"?: string;
                    /** @description The SHA-256 of the archive in hex, quoted */
                    ETag?: string;
                    /** @description The file name of the archive */
                    "Content-Disposition"?: string;
                    /** @description The SHA-256 of the whole archive (RFC 9530) */
                    "Repr-Digest"?: string;
                    /** @description Which bytes these are */
                    "Content-Range"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/zip": string;
                };
            };
            /** @description The archive is one of those named in If-None-Match */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The range is not within the archive. */
            416: {
                headers: {
                    /** @description How many bytes the archive has */
                    "Content-Range"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The archive is damaged, or of a kind that can't be restored here. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    restoreBackup: {
        parameters: {
            query?: never;
            header?: {
                /** @description `respond-async` answers 202 with the job at once instead of waiting for its end (RFC 7240) */
                Prefer?: string;
            };
            path: {
                /**
                 * @description Id of the backup
                 * @example 7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54
                 */
                backupId: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "validateChecksum": true,
                 *       "rollbackOnFailure": true,
                 *       "dryRun": true
                 *     }
                 */
                "application/json": components["schemas"]["RestoreRequest"];
            };
        };
        responses: {
            /** @description What the restore did, or with dryRun would do */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RestoreResult"];
                };
            };
            /** @description The job that restores */
            202: {
                headers: {
                    /** @description Address of the job */
                    Location?: string;
                    /** @description respond-async */
                    "Preference-Applied"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The request is not valid: `errors` names each field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no access token, or it is not valid. */
            401: {
                headers: {
                    /** @description `Bearer` */
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The user is no OWNER of the organization. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Your organization has no such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It can't be done now: another job is running, or the data stand in the way. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large, or what is to be backed up. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is of a media type that this operation does not take. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The archive is damaged, or of a kind that can't be restored here. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many requests: wait as long as Retry-After says. */
            429: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something failed that the caller can't help. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The database, a folder or a tool that this needs is not available: `remedy` says what to do. */
            503: {
                headers: {
                    /** @description After how many seconds to try again */
                    "Retry-After"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is not enough disk space. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
}
