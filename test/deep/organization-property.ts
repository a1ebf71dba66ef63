// Random schemas and data of an organization, for as long as there is time.
import '../database/organization/property.js'
